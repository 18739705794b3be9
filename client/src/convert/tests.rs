//! Values that make the way there and back, and messages that break the contract.

use serde_json::json;

use super::*;
use crate::{SortOrder, model::Wire as _};

fn wire() -> v1::Transfer {
    let at = |seconds| {
        Some(prost_types::Timestamp {
            seconds,
            nanos: 5_000,
        })
    };
    v1::Transfer {
        uuid: uuid::Uuid::from_u128(1).to_string(),
        direction: v1::Direction::Receive.into(),
        connection_uuid: uuid::Uuid::from_u128(2).to_string(),
        table_name: "orders".to_owned(),
        status: v1::TransferStatus::Failed.into(),
        error_message: "disk full".to_owned(),
        started_at: at(10),
        inserted_at: at(1),
        updated_at: at(20),
        checkpoint: b"page 3".to_vec(),
        heartbeat_timeout: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
        revision: 4,
        records_per_second: Some(0.0),
        estimated_completion: at(30),
        estimated_completion_earliest: at(29),
        estimated_completion_latest: at(31),
        health: v1::TransferHealth::NoProgress.into(),
        health_since: at(15),
        ..v1::Transfer::default()
    }
}

#[test]
fn a_transfer_is_read_and_serialized() {
    let read = transfer(Some(wire())).unwrap();
    assert_eq!(read.uuid, uuid::Uuid::from_u128(1));
    assert_eq!(read.connection_uuid, Some(uuid::Uuid::from_u128(2)));
    assert_eq!(read.retry_of_uuid, None);
    assert_eq!(read.session_code, None);
    assert_eq!(read.conflict_strategy, None);
    assert_eq!(read.error_message.as_deref(), Some("disk full"));
    assert_eq!(read.heartbeat_timeout, Some(Duration::from_millis(1_500)));
    assert_eq!(read.progress, Totals::default());
    assert_eq!(
        (read.records_per_second, read.bytes_per_second),
        (Some(0.0), None)
    );
    assert_eq!(read.health, Some(TransferHealth::NoProgress));
    assert_eq!(read.estimate_unknown_reason, None);

    let json = serde_json::to_value(&read).unwrap();
    assert_eq!(json["status"], "TRANSFER_STATUS_FAILED");
    assert_eq!(json["startedAt"], "1970-01-01T00:00:10.000005Z");
    assert_eq!(json["heartbeatTimeout"], "1.500s");
    assert_eq!(json["checkpoint"], "cGFnZSAz");
    assert_eq!(json["revision"], "4");
    assert_eq!(json.get("completedAt"), None);
    assert_eq!(json["recordsPerSecond"], 0.0);
    assert_eq!(json.get("bytesPerSecond"), None);
    assert_eq!(json["health"], "TRANSFER_HEALTH_NO_PROGRESS");
    assert_eq!(json["healthSince"], "1970-01-01T00:00:15.000005Z");
    for (field, second) in [("Earliest", 29), ("", 30), ("Latest", 31)] {
        let said = &json[format!("estimatedCompletion{field}")];
        assert_eq!(*said, format!("1970-01-01T00:00:{second}.000005Z"));
    }
}

/// What is read of an event with this detail: itself, as JSON, and in one line.
fn told(wire: v1::event::Detail) -> (EventDetail, serde_json::Value, String) {
    let read = event(v1::Event {
        occurred_at: Some(prost_types::Timestamp::default()),
        detail: Some(wire),
        ..v1::Event::default()
    });
    let detail = read.unwrap().detail.unwrap();
    let json = serde_json::to_value(&detail).unwrap();
    let summary = detail.summary();
    (detail, json, summary)
}

#[test]
fn details_are_read_serialized_and_told_in_one_line() {
    use v1::event::Detail;
    let uuid = uuid::Uuid::from_u128(7);
    let (text, uuid_text) = ("two\nlines".to_owned(), uuid.to_string());
    let (detail, json, summary) = told(Detail::Comment(v1::CommentDetail { text: text.clone() }));
    assert_eq!(detail, EventDetail::Comment { text });
    assert_eq!(json, json!({ "comment": { "text": "two\nlines" } }));
    assert_eq!(summary, "two lines");

    let (_, json, summary) = told(Detail::Failure(v1::FailureDetail {
        error_message: "disk full".to_owned(),
        code: v1::FailureCode::HeartbeatLost.into(),
        retryable: true,
    }));
    assert_eq!(
        json,
        json!({ "failure": {
            "errorMessage": "disk full", "code": "FAILURE_CODE_HEARTBEAT_LOST", "retryable": true,
        } })
    );
    assert_eq!(summary, "disk full");

    let fields = vec!["name".to_owned(), "policy.max_transfers".to_owned()];
    let update = v1::ConnectionUpdateDetail { fields };
    let (_, json, summary) = told(Detail::ConnectionUpdate(update));
    assert_eq!(
        json,
        json!({ "connectionUpdate": { "fields": ["name", "policy.max_transfers"] } })
    );
    assert_eq!(summary, "name, policy.max_transfers");

    let (_, json, summary) = told(Detail::Credential(v1::CredentialDetail {
        role: v1::Role::Approver.into(),
        name: "desk".to_owned(),
    }));
    assert_eq!(
        json,
        json!({ "credential": { "role": "ROLE_APPROVER", "name": "desk" } })
    );
    assert_eq!(summary, "approver desk");

    let redemption = v1::RedemptionDetail {
        agent_uuid: uuid_text.clone(),
    };
    let (_, json, summary) = told(Detail::Redemption(redemption));
    assert_eq!(json, json!({ "redemption": { "agentUuid": uuid_text } }));
    assert_eq!(summary, format!("agent {uuid}"));

    let refusal = |uuid: &str| {
        Detail::Refusal(v1::RefusalDetail {
            reason: "TABLE_NOT_ALLOWED".to_owned(),
            method: "StartTransfer".to_owned(),
            uuid: uuid.to_owned(),
            dropped: if uuid.is_empty() { 40 } else { 0 },
        })
    };
    let (_, json, summary) = told(refusal(&uuid_text));
    assert_eq!(
        json,
        json!({ "refusal": { "reason": "TABLE_NOT_ALLOWED", "method": "StartTransfer", "uuid": uuid_text, "dropped": "0" } })
    );
    assert_eq!(summary, format!("TABLE_NOT_ALLOWED StartTransfer {uuid}"));
    let (.., summary) = told(refusal(""));
    assert_eq!(summary, "TABLE_NOT_ALLOWED StartTransfer (and 40 more)");
}

#[test]
fn every_message_that_makes_no_sense_is_an_error() {
    let spoil: [fn(&mut v1::Transfer); 6] = [
        |transfer| transfer.uuid.clear(),
        |transfer| transfer.denied_by_uuid = "nobody".to_owned(),
        |transfer| transfer.inserted_at = None,
        |transfer| {
            transfer.updated_at = Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            })
        },
        |transfer| {
            transfer.started_at = Some(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            })
        },
        |transfer| {
            transfer.duration = Some(prost_types::Duration {
                seconds: -1,
                nanos: 0,
            })
        },
    ];
    for (index, spoil) in spoil.into_iter().enumerate() {
        let mut wire = wire();
        spoil(&mut wire);
        let error = present_transfer(wire).unwrap_err();
        assert_eq!(error.code().as_str(), "INTERNAL", "{index}");
        assert!(error.message().contains("transfer."), "{error}");
    }
    assert_eq!(transfer(None).unwrap_err().code().as_str(), "INTERNAL");
    assert_eq!(connection(None).unwrap_err().code().as_str(), "INTERNAL");
    assert!(event(v1::Event::default()).is_err());
}

#[test]
fn words_make_the_way_there_and_back() {
    for number in 1..=9 {
        let status = TransferStatus::from_wire(number);
        assert_eq!(status.to_wire(), number);
        assert_eq!(status.to_string().parse(), Ok(status));
        let proto = v1::TransferStatus::try_from(number).unwrap().as_str_name();
        assert_eq!(
            proto,
            format!("TRANSFER_STATUS_{}", status.to_string().to_uppercase())
        );
    }
    assert_eq!(TransferStatus::ALL.len(), 9);
    for number in 1..=10 {
        let event_type = EventType::from_wire(number);
        let proto = v1::EventType::try_from(number).unwrap().as_str_name();
        assert_eq!(
            proto,
            format!("EVENT_TYPE_{}", event_type.to_string().to_uppercase())
        );
    }
    for order in SortOrder::ALL {
        assert_eq!(order.to_string().parse(), Ok(*order));
    }
}

#[test]
fn an_unknown_word_survives() {
    let status = TransferStatus::from_wire(77);
    assert_eq!(status, TransferStatus::Unknown(77));
    assert_eq!(
        (status.to_wire(), status.to_string().as_str()),
        (77, "unknown_77")
    );
    assert!(!status.is_terminal());
    assert!("unknown_77".parse::<TransferStatus>().is_err());
    let error = "Pending".parse::<TransferStatus>().unwrap_err().to_string();
    assert!(
        error.contains("\"Pending\"") && error.contains("pending_approval"),
        "{error}"
    );
    assert_eq!(format!("{:>8}|", Direction::Send), "    send|");
}

#[test]
fn metadata_makes_the_way_there_and_back() {
    let json = json!({
        "text": "ö", "whole": -7, "big": 9_007_199_254_740_992_i64, "half": 0.5, "yes": true,
        "none": null, "list": [1, "two", [3]], "object": {"deep": {"er": []}},
    });
    let serde_json::Value::Object(object) = json else {
        unreachable!("it is an object")
    };
    let back = metadata::from_struct(Some(to_struct(object.clone()))).unwrap();
    assert_eq!(back, object);
    assert!(metadata::from_struct(None).unwrap().is_empty());
}

#[test]
fn metadata_that_json_has_not_is_an_error() {
    let mut value = prost_types::Value::from(f64::NAN);
    let in_struct = |value| prost_types::Struct {
        fields: [("key".to_owned(), value)].into(),
    };
    assert!(metadata::from_struct(Some(in_struct(value.clone()))).is_err());
    value = prost_types::Value::from(1.0);
    for _ in 0..100 {
        value = prost_types::Value::from(vec![value]);
    }
    assert!(
        metadata::from_struct(Some(in_struct(value))).is_err(),
        "too deep"
    );
}

#[test]
fn times_and_spans_keep_their_precision() {
    let time = DateTime::from_timestamp(-5, 123_456_000).unwrap();
    assert_eq!(value::time("time", Some(to_timestamp(time))).unwrap(), time);
    let span = Duration::new(90, 1_000);
    assert_eq!(
        value::span("span", Some(to_duration(span))).unwrap(),
        Some(span)
    );
    assert_eq!(to_duration(Duration::MAX).seconds, i64::MAX);
    assert_eq!(count(u32::MAX), i32::MAX);
}
