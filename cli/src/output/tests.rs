use std::sync::{Arc, Mutex};

use futures::stream;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn listed(reader: Reader, items: &[&'static str], limit: usize) -> String {
    let buffer = Buffer::default();
    let mut out = Output {
        reader,
        width: None,
        series: None,
        live: Live::default(),
        out: Box::new(buffer.clone()),
    };
    let columns = [
        Column::text("NAME", |name: &&str, _| (*name).to_owned()),
        Column::number("LENGTH", |name: &&str, _| name.len().to_string()),
    ];
    out.list(
        stream::iter(items.iter().copied().map(Ok)),
        limit,
        &columns,
        "none",
    )
    .await
    .unwrap();
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn scripts_get_the_bare_uuid() {
    let buffer = Buffer::default();
    let mut out = Output {
        reader: Reader::Script,
        width: None,
        series: None,
        live: Live::default(),
        out: Box::new(buffer.clone()),
    };
    let thing = serde_json::json!({ "uuid": "0190b7a2", "name": "x" });
    out.details(&thing, |_| vec![("name", "x".to_owned())])
        .unwrap();
    out.thing(&serde_json::json!({ "count": 3 }), |_| "three".to_owned())
        .unwrap();
    let printed = buffer.0.lock().unwrap().clone();
    assert_eq!(String::from_utf8(printed).unwrap(), "0190b7a2\nthree\n");
}

#[tokio::test]
async fn a_table_is_aligned_and_harmless() {
    let table = listed(
        Reader::Person { wide: false },
        &["a\u{1b}[1A", "longer than that"],
        0,
    )
    .await;
    assert_eq!(
        table,
        "NAME              LENGTH\na\\u{1b}[1A             5\nlonger than that      16\n"
    );
    assert_eq!(listed(Reader::Person { wide: false }, &[], 0).await, "");
}

#[tokio::test]
async fn json_lists_are_arrays_of_any_length() {
    assert_eq!(listed(Reader::Program(Machine::Json), &[], 0).await, "[]\n");
    for items in [&["a"][..], &["a", "b\u{9b}"], &["a", "b\u{9b}", "c"]] {
        let text = listed(Reader::Program(Machine::Json), items, 2).await;
        assert!(!text.contains('\u{9b}'));
        let array: Vec<String> = serde_json::from_str(&text).unwrap();
        assert_eq!(array, items[..items.len().min(2)]);
    }
}
