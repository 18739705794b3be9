//! Characters that cannot be seen: names that look alike, and texts that look like others.

use tidegate_proto::v1;
use tidegate_tests::{World, raw::plain, request, site::proposal};

use super::bad_fields;

/// One of each kind that is never seen: zero width, joiners, hyphens, marks of byte order, tags, selectors of variants,
/// fillers, and what turns the direction of writing or stands for a line's end.
const UNSEEN: [char; 24] = [
    '\u{ad}',
    '\u{34f}',
    '\u{61c}',
    '\u{115f}',
    '\u{17b4}',
    '\u{180e}',
    '\u{200b}',
    '\u{200c}',
    '\u{200d}',
    '\u{200e}',
    '\u{2028}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{206f}',
    '\u{3164}',
    '\u{fe00}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{ffa0}',
    '\u{fff9}',
    '\u{1d173}',
    '\u{e0041}',
    '\u{e0100}',
];

#[tokio::test]
async fn names_that_look_alike_are_refused() {
    let world = World::start().await;
    let mut raw = world.services().await;
    for unseen in UNSEEN {
        let name = format!("us{unseen}ers");
        let request = v1::CreateTransferRequest {
            table_name: name.clone(),
            session_code: name.clone(),
            requester_user_agent: name.clone(),
            remote_site_url: format!("https://a.example/{name}"),
            ..plain()
        };
        let mut fields = bad_fields(raw.transfers.create_transfer(request)).await;
        fields.sort();
        assert_eq!(
            fields,
            [
                "remote_site_url",
                "requester_user_agent",
                "session_code",
                "table_name"
            ],
            "{unseen:?}"
        );
        let request = v1::CreateConnectionRequest {
            name: name.clone(),
            site_url: format!("https://a.example/{name}"),
            ..proposal()
        };
        let fields = bad_fields(raw.connections.create_connection(request)).await;
        assert_eq!(fields, ["name", "site_url"], "{unseen:?}");
        let request = v1::CreateCredentialRequest {
            name,
            role: v1::Role::Viewer.into(),
            ..v1::CreateCredentialRequest::default()
        };
        let fields = bad_fields(raw.credentials.create_credential(request)).await;
        assert_eq!(fields, ["name"], "{unseen:?}");
    }
}

#[tokio::test]
async fn what_approvers_read_hides_nothing() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let uuid = raw.declared().await.uuid;
    for unseen in [
        '\u{202e}',
        '\u{2066}',
        '\u{200b}',
        '\u{feff}',
        '\u{e0041}',
        '\u{2028}',
    ] {
        let text = format!("not{unseen}today");
        let request = v1::DenyTransferRequest {
            reason: text.clone(),
            ..request::denial(&uuid)
        };
        let fields = bad_fields(raw.transfers.deny_transfer(request)).await;
        assert_eq!(fields, ["reason"], "{unseen:?}");
        let request = v1::ApproveTransferRequest {
            comment: text.clone(),
            ..request::approval(&uuid)
        };
        let fields = bad_fields(raw.transfers.approve_transfer(request)).await;
        assert_eq!(fields, ["comment"], "{unseen:?}");
        let request = v1::CancelTransferRequest {
            reason: text,
            ..request::cancellation(&uuid)
        };
        let fields = bad_fields(raw.transfers.cancel_transfer(request)).await;
        assert_eq!(fields, ["reason"], "{unseen:?}");
    }
    // Joiners and selectors are part of how people write, and of their pictures.
    let request = v1::CancelTransferRequest {
        reason: "\u{646}\u{645}\u{6cc}\u{200c}\u{634}\u{648}\u{62f} \u{2764}\u{fe0f}".to_owned(),
        ..request::cancellation(&uuid)
    };
    let cancelled = raw.transfers.cancel_transfer(request).await;
    cancelled.expect("it is ordinary writing");
}
