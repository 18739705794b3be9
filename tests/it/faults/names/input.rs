//! Numbers that mean nothing, and times that are finer than what is kept.

use tidegate_proto::v1::{self, ConnectionPolicy};
use tidegate_tests::{
    World, WorldOptions,
    process::{binary, command, run},
    raw::{plain, wire_time},
    site::proposal,
};

use super::bad_fields;

#[tokio::test]
async fn a_setting_of_nothing_is_refused_at_the_start() {
    for setting in [
        ["--max-connections", "0"],
        ["--max-connections-per-address", "0"],
        ["--max-streams", "0"],
    ] {
        let ended = run(command(binary("tidegate-server"))
            .args(setting)
            .args(["--listen", "127.0.0.1:0"])
            .args(["--database-url", "sqlite::memory:"]))
        .await;
        assert_eq!(ended.code, Some(2), "{setting:?}: {}", ended.stderr);
        let first = ended.stderr.lines().next().unwrap_or_default();
        assert!(first.contains(setting[0]), "{first}");
        assert!(first.contains("at least 1"), "{first}");
    }
}

#[tokio::test]
async fn a_limit_of_no_records_is_refused() {
    let world = World::start().await;
    let mut raw = world.services().await;
    let request = v1::CreateConnectionRequest {
        policy: Some(ConnectionPolicy {
            max_records_per_request: Some(0),
            ..ConnectionPolicy::default()
        }),
        ..proposal()
    };
    let fields = bad_fields(raw.connections.create_connection(request)).await;
    assert_eq!(fields, ["policy.max_records_per_request"]);
}

#[tokio::test]
async fn nothing_before_from_is_told() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    raw.create(plain()).await;
    let mut just_after = wire_time(world.clock.now());
    let counted = |from, to| v1::CountTransfersRequest {
        filter: Some(v1::TransferFilter {
            from,
            to,
            ..v1::TransferFilter::default()
        }),
    };
    let exact = raw
        .transfers
        .count_transfers(counted(Some(just_after), Some(just_after)))
        .await;
    assert_eq!(exact.expect("it is counted").into_inner().count, 1);
    just_after.nanos += 1;
    let after = raw
        .transfers
        .count_transfers(counted(Some(just_after), None))
        .await;
    assert_eq!(after.expect("it is counted").into_inner().count, 0);
    let until = raw
        .transfers
        .count_transfers(counted(None, Some(just_after)))
        .await;
    assert_eq!(until.expect("it is counted").into_inner().count, 1);
}
