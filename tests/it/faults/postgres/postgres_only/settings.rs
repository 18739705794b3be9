//! Settings of a database or a role that the design leans on.

use std::time::Duration;

use futures::future::try_join_all;
use sea_orm::ConnectionTrait as _;
use tidegate_tests::{
    Database, World, WorldOptions,
    process::{binary, command, run},
    raw::Raw,
};

/// Brings one transfer from its declaration to its completion, with a decision.
pub(super) async fn live(raw: &Raw) -> Result<(), tonic::Status> {
    use tidegate_tests::{
        raw::{plain, totals, wire_duration},
        request,
    };
    let mut transfers = raw.transfers.clone();
    let created = transfers.create_transfer(plain()).await?.into_inner();
    let uuid = created.transfer.expect("the answer carries it").uuid;
    let asking = tidegate_proto::v1::RequestApprovalRequest {
        expires_in: Some(wire_duration(Duration::from_secs(60))),
        ..request::asking(&uuid)
    };
    transfers.request_approval(asking).await?;
    transfers.approve_transfer(request::approval(&uuid)).await?;
    transfers.start_transfer(request::starting(&uuid)).await?;
    let report = request::reporting(&uuid, totals(1));
    transfers.update_progress(report).await?;
    let completion = tidegate_proto::v1::CompleteTransferRequest {
        progress: Some(totals(2)),
        ..request::completion(&uuid)
    };
    transfers.complete_transfer(completion).await?;
    Ok(())
}

async fn lives_under(isolation: &str) {
    let database = Database::fresh().await;
    let name = database.name().expect("it has a name");
    let set = format!("ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'");
    let admin = database.connect().await;
    admin.execute_unprepared(&set).await.expect("it is set");
    // Two replicas, so that their writers meet.
    let mut first = World::on(database, WorldOptions::default()).await;
    let mut second = first.replica().await;
    let (here, there) = (first.services().await, second.services().await);
    let callers = (0..16).map(|caller| {
        let raw = if caller % 2 == 0 { &here } else { &there };
        async move {
            for _ in 0..5 {
                live(raw).await?;
            }
            Ok::<(), tonic::Status>(())
        }
    });
    let lived = try_join_all(callers).await;
    lived.unwrap_or_else(|status| panic!("{isolation}: {status:?}"));
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_default_isolation_refuses_nobody() {
    for isolation in ["repeatable read", "serializable"] {
        lives_under(isolation).await;
    }
}

/// What a server says that is started on `database` and ends at once.
pub(super) async fn refusal(database: &Database) -> String {
    refusal_with(database, &[]).await
}

pub(super) async fn refusal_with(database: &Database, arguments: &[&str]) -> String {
    let mut server = command(binary("tidegate-server"));
    server.args(["--listen", "127.0.0.1:0", "--database-url", database.url()]);
    server.args(arguments);
    let ended = run(&mut server).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    let line = lines.last().expect("it says why");
    (*line).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_encoding_is_refused_at_the_start() {
    let database = Database::latin1().await;
    let line = refusal(&database).await;
    assert!(line.contains("server_encoding"), "{line}");
    assert!(line.contains("UTF8") && line.contains("LATIN1"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_the_design_leans_on_are_read_back_at_the_start() {
    for (setting, value) in [
        ("synchronous_commit", "off"),
        ("transaction_read_only", "on"),
    ] {
        let database = Database::fresh().await;
        let name = database.name().expect("it has a name");
        let admin = database.connect().await;
        let default = setting.replace("transaction_read_only", "default_transaction_read_only");
        let set = format!("ALTER DATABASE {name} SET {default} = {value}");
        admin.execute_unprepared(&set).await.expect("it is set");
        let line = refusal(&database).await;
        assert!(line.contains(setting) && line.contains(value), "{line}");
    }
}
