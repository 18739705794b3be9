//! The forms that programs read: protobuf's JSON of the contract's messages, and what is made of it.

use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Value, json};
use tidegate_tests::dynamic::{POOL, call, methods};

use super::{ADMIN, Desk, id};

/// What the server answers to a call, as protobuf's JSON.
async fn answered(desk: &Desk, name: &str, request: Value) -> Value {
    let method = methods()
        .into_iter()
        .find(|method| method.name() == name)
        .expect("it is in the contract");
    let request = DynamicMessage::deserialize(method.input(), request).expect("canonical JSON");
    let channel = desk.server.channel().await;
    let answer = call(&channel, &method, &request).await.expect("an answer");
    canonical(&answer.expect("a message"))
}

/// Fields without presence are there whatever they hold, as the tool has them.
fn canonical(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().skip_default_fields(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("it has a JSON form")
}

/// The same message whatever was written of its default values.
fn normal(message: &str, json: &Value) -> Value {
    let message = POOL.get_message_by_name(&format!("tidegate.v1.{message}"));
    let message = message.expect("it is in the contract");
    let read = DynamicMessage::deserialize(message, json);
    canonical(&read.unwrap_or_else(|error| panic!("{error}: {json}")))
}

#[tokio::test]
async fn what_is_printed_is_what_the_server_said() {
    let desk = Desk::new().await;
    let site = "connection create --name B --direction sender --site-url https://b.example \
                --max-transfers 7 --heartbeat-timeout 1500ms --hours 22:00-06:00 --rate-limit 60 \
                --expires-at 2999-01-31T08:00:00.5Z --table-case insensitive --allow-table a.* \
                --hours 00:00-23:59";
    let site = site.replace("--hours 22:00-06:00 ", "");
    let site = id(&desk.json(&site).await);
    let create = format!(
        "transfer create --direction send --table a.b --connection {site} \
         --records-requested 9007199254740993 --conflict-strategy append --requires-approval \
         --metadata {{\"n\":[1,null,{{\"x\":0.5}}]}}"
    );
    let transfer = id(&desk.json(&create).await);
    desk.text(&format!("transfer request-approval {transfer}"))
        .await;
    desk.text(&format!(
        "transfer approve {transfer} --admin {ADMIN} --comment ok"
    ))
    .await;
    desk.text(&format!("transfer start {transfer}")).await;
    let credential = id(&desk.json("credential create --name v --role viewer").await["credential"]);

    let uuid = |uuid: &str| json!({ "uuid": uuid });
    let of_site = json!({ "connectionUuid": site });
    for (line, message, method, request, field) in [
        (
            format!("transfer get {transfer}"),
            "Transfer",
            "GetTransfer",
            uuid(&transfer),
            "/transfer",
        ),
        (
            format!("transfer get {transfer} --with-connection"),
            "Transfer",
            "GetTransfer",
            json!({ "uuid": transfer, "preload": ["PRELOAD_CONNECTION"] }),
            "/transfer",
        ),
        (
            format!("connection get {site}"),
            "Connection",
            "GetConnection",
            uuid(&site),
            "/connection",
        ),
        (
            format!("credential get {credential}"),
            "Credential",
            "GetCredential",
            uuid(&credential),
            "/credential",
        ),
        (
            format!("stats connection {site}"),
            "GetConnectionStatsResponse",
            "GetConnectionStats",
            of_site,
            "",
        ),
        (
            "transfer count".to_owned(),
            "CountTransfersResponse",
            "CountTransfers",
            json!({}),
            "",
        ),
    ] {
        let printed = normal(message, &desk.json(&line).await);
        let answer = answered(&desk, method, request).await;
        let said = answer.pointer(field).expect("the field");
        assert_eq!(&printed, said, "{line}");
    }
    let events = desk.json("event list").await;
    let answer = answered(&desk, "ListEvents", json!({})).await;
    let events = events.as_array().expect("a list");
    let events: Vec<Value> = events.iter().map(|event| normal("Event", event)).collect();
    assert_eq!(Value::from(events), answer["events"]);
}

#[tokio::test]
async fn every_form_says_the_same() {
    let desk = Desk::new().await;
    let one = desk.declare("one").await;
    desk.declare("two").await;
    let listed = desk.json("transfer list").await;
    let lines = desk.text("transfer list -o jsonl").await;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object on every line"))
        .collect();
    assert_eq!(Value::from(lines), listed);
    let yaml = desk.text("transfer list -o yaml").await;
    assert!(yaml.starts_with("- uuid: "), "{yaml}");
    assert_eq!(yaml.matches("\n  tableName: ").count(), 2, "{yaml}");
    assert!(
        yaml.contains("\n  status: TRANSFER_STATUS_PENDING\n"),
        "{yaml}"
    );
    assert!(yaml.contains("\n  recordsRequested: \"0\"\n"), "{yaml}");
    let yaml = desk.text(&format!("transfer get {one} -o yaml")).await;
    assert!(yaml.starts_with(&format!("uuid: {one}\n")), "{yaml}");
    assert!(
        yaml.contains("\nprogress:\n  recordsTransferred: \"0\"\n"),
        "{yaml}"
    );
    let names = desk.text("transfer list -o name --order asc").await;
    assert_eq!(names.lines().next(), Some(one.as_str()));

    let mut list = desk.tidegate("transfer list --order asc");
    list.args([
        "--template",
        "{{ tableName }}:{{ progress.recordsCreated }}:{{ connection.name }}",
    ]);
    let ended = tidegate_tests::process::run(&mut list).await;
    assert_eq!(ended.stdout, "one:0:\ntwo:0:\n", "{ended:?}");
    let wrong = desk.run("transfer list --template {{").await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test]
async fn an_empty_list_is_one_in_every_form() {
    let desk = Desk::new().await;
    for (form, wanted) in [
        ("json", "[]\n"),
        ("jsonl", ""),
        ("yaml", "[]\n"),
        ("name", ""),
        ("wide", ""),
    ] {
        assert_eq!(desk.text(&format!("transfer list -o {form}")).await, wanted);
    }
}
