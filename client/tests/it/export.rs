//! The export of transfers, over streams that end before their time.

use futures::StreamExt as _;
use tidegate_client::Reason;
use tidegate_proto::v1::{self, TransferStatus as Wire};
use tokio::time::timeout;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fake::{Fake, PATIENCE, Said, Script, refusal, transfer};

fn piece(uuids: &[u128], next_page_token: &str) -> Result<v1::ExportTransfersResponse, Status> {
    let transfers = uuids
        .iter()
        .map(|uuid| transfer(Uuid::from_u128(*uuid), 1, Wire::Pending, 1));
    Ok(v1::ExportTransfersResponse {
        transfers: transfers.collect(),
        next_page_token: next_page_token.to_owned(),
    })
}

fn streams(
    said: impl Fn(usize, &str) -> Vec<Result<v1::ExportTransfersResponse, Status>>
    + Send
    + Sync
    + 'static,
) -> Script {
    Script {
        export: Some(Box::new(move |number, request| {
            Ok(Said {
                messages: said(number, &request.page_token),
                stays: false,
            })
        })),
        ..Script::default()
    }
}

#[tokio::test]
async fn an_interruption_neither_skips_nor_repeats() {
    let script = streams(|number, token| {
        let (expected, messages) = match number {
            // Ends cleanly, and before its time.
            0 => ("begun", vec![piece(&[1, 2], "2")]),
            1 => ("2", vec![Err(refusal(Code::Unavailable, "SHUTTING_DOWN"))]),
            2 => ("2", vec![piece(&[3], "3"), Err(Status::unknown("reset"))]),
            _ => ("3", vec![piece(&[4], ""), piece(&[5], "")]),
        };
        assert_eq!(token, expected);
        messages
    });
    let fake = Fake::play(script).await;
    let mut export = fake
        .client()
        .transfers()
        .export()
        .after("begun")
        .into_stream();
    let mut found = Vec::new();
    let mut places = Vec::new();
    while let Some(piece) = timeout(PATIENCE, export.next())
        .await
        .expect("something comes")
    {
        let piece = piece.expect("no refusal");
        found.extend(piece.transfers.iter().map(|it| it.uuid.as_u128()));
        places.push(piece.next);
    }
    assert_eq!(found, [1, 2, 3, 4], "and the end after the last piece");
    let next = |token: &str| Some(token.to_owned());
    assert_eq!(places, [next("2"), next("3"), None]);
    assert_eq!(fake.count("export"), 4);
}

#[tokio::test]
async fn a_refusal_ends_it() {
    let script = streams(|_, _| vec![Err(refusal(Code::InvalidArgument, "INVALID_FIELDS"))]);
    let fake = Fake::play(script).await;
    let mut export = fake.client().transfers().export().into_stream();
    let refused = timeout(PATIENCE, export.next())
        .await
        .expect("something comes");
    let error = refused.expect("an item").expect_err("a refusal");
    assert_eq!(error.reason(), Some(Reason::InvalidFields));
    assert!(export.next().await.is_none(), "it is over");
    assert_eq!(fake.count("export"), 1);
}
