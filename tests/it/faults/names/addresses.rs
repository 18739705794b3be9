//! Where calls come from: blocks of addresses in every form, and what a caller says of itself.

use tidegate_proto::v1::{self, ConnectionPolicy};
use tidegate_tests::{
    World, WorldOptions,
    actors::Actors,
    assert_refused,
    process::{binary, command, run},
    raw::{done, plain},
    request,
    site::{of, proposal},
};
use tonic::Code;

use super::{bad_fields, names};

fn allowing(blocks: &[&str]) -> ConnectionPolicy {
    ConnectionPolicy {
        ip_allowlist: names(blocks),
        ..ConnectionPolicy::default()
    }
}

#[tokio::test]
async fn a_block_in_ipv4_mapped_form_is_the_ipv4_block() {
    let world = World::start().await;
    let mut raw = world.services().await;
    for (written, kept) in [
        ("::ffff:127.0.0.0/104", "127.0.0.0/8"),
        ("::ffff:127.0.0.1/128", "127.0.0.1/32"),
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::ffff:7f00:0/104", "127.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ] {
        let site = raw.site(allowing(&[written])).await;
        let policy = raw.site_now(&site).await.policy.expect("it has one");
        assert_eq!(policy.ip_allowlist, [kept], "{written}");
        raw.create(of(&site)).await;
    }
    let site = raw.site(allowing(&["::ffff:192.0.2.0/120"])).await;
    let refusal = raw.transfers.create_transfer(of(&site)).await;
    let refusal = refusal.expect_err("it comes from elsewhere");
    assert_refused(&refusal, Code::PermissionDenied, "IP_NOT_ALLOWED");
}

#[tokio::test]
async fn a_block_that_holds_both_kinds_of_addresses_is_refused() {
    let world = World::start().await;
    let mut raw = world.services().await;
    for wide in ["::/0", "::/80", "::fffe:0:0/95"] {
        let request = v1::CreateConnectionRequest {
            policy: Some(allowing(&["::1", wide])),
            ..proposal()
        };
        let fields = bad_fields(raw.connections.create_connection(request)).await;
        assert_eq!(fields, ["policy.ip_allowlist[1]"], "{wide}");
    }
    raw.site(allowing(&["2000::/3", "::/97"])).await;
}

#[tokio::test]
async fn an_approver_sees_what_was_claimed_and_what_was_seen() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let mut transfers =
        v1::transfer_service_client::TransferServiceClient::new(world.channel().await);
    let request = v1::CreateTransferRequest {
        requester_ip: "::ffff:198.51.100.7".to_owned(),
        ..of(&actors.own)
    };
    let made = done(transfers.create_transfer(actors.agent.asks(request))).await;
    assert_eq!(made.requester_ip, "198.51.100.7");
    assert_eq!(made.observed_ip, "127.0.0.1");
    assert_eq!(made.acted_by_uuid, actors.agent.uuid);
    let asking = actors.agent.asks(request::asking(&made.uuid));
    let asked = done(transfers.request_approval(asking)).await;
    assert_eq!(
        (asked.requester_ip, asked.observed_ip),
        (made.requester_ip, made.observed_ip)
    );
    for (line, told) in [
        (format!("transfer get {}", made.uuid), "seen from|127.0.0.1"),
        (
            format!("transfer get {}", made.uuid),
            "claims to be from|198.51.100.7",
        ),
        ("approval list".to_owned(), "127.0.0.1|198.51.100.7"),
    ] {
        let shown = run(command(binary("tidegate"))
            .env("TIDEGATE_ADDRESS", &world.address)
            .env("TIDEGATE_TOKEN", &actors.approver.token)
            .args(line.split_whitespace()))
        .await;
        let is_told = |shown: &str| told.split('|').all(|part| shown.contains(part));
        assert!(shown.stdout.lines().any(is_told), "{line}: {shown:?}");
    }
}

#[tokio::test]
async fn a_caller_that_claims_no_address_has_claimed_none() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let made = raw.create(plain()).await;
    assert_eq!(
        (made.requester_ip.as_str(), made.observed_ip.as_str()),
        ("", "127.0.0.1")
    );
}
