//! A database from before there were policies: its rows stay, and everything is allowed as it was.

use sea_orm::ConnectionTrait as _;
use sea_orm_migration::MigratorTrait as _;
use tidegate_migration::Migrator;
use tidegate_proto::v1::{self, ConnectionStatus, TransferStatus};
use tidegate_tests::{
    Database, World, WorldOptions, assert_refused,
    database::{Kind, kind},
    raw::{done, told},
    request,
    site::{Step, of},
};
use tonic::Code;

/// The migrations of the release before policies.
const BEFORE: u32 = 7;
const SITE: &str = "00000000-0000-0000-0000-000000000001";
const OWN: &str = "00000000-0000-0000-0000-000000000002";
const WAITING: &str = "00000000-0000-0000-0000-000000000003";
const PERSON: &str = "00000000-0000-0000-0000-000000000009";

/// A uuid, or bytes in hex, as the database writes them.
fn literal(uuid: &str) -> String {
    match kind() {
        Kind::Sqlite => format!("x'{}'", uuid.replace('-', "")),
        Kind::Postgres => format!("'{uuid}'"),
    }
}

fn bytes(hex: &str) -> String {
    match kind() {
        Kind::Sqlite => format!("x'{hex}'"),
        Kind::Postgres => format!("'\\x{hex}'"),
    }
}

/// What an older release left: a connection that remembers its request, a transfer that its own initiator has approved,
/// and one that waits.
async fn old_rows(database: &Database) {
    let behind = database.connect().await;
    Migrator::up(&behind, Some(BEFORE))
        .await
        .expect("the old schema");
    let [site, own, waiting, person] = [SITE, OWN, WAITING, PERSON].map(literal);
    let (empty, digest) = (bytes(""), bytes(&"07".repeat(32)));
    let transfer = "INSERT INTO transfer (uuid, direction, connection_uuid, table_name, status, \
                    requires_approval, records_transferred, initiated_by_uuid, approved_at, \
                    approved_by_uuid, approval_expires_at, started_at, inserted_at, updated_at, \
                    checkpoint, revision)";
    let statements = [
        format!(
            "INSERT INTO connection (uuid, name, direction, site_url, status, inserted_at, updated_at, \
             revision, actor, request_id, request_digest) VALUES ({site}, 'old', 'SENDER', \
             'https://old.example', 'ACTIVE', 1, 1, 1, 'anonymous', 'old-1', {digest})"
        ),
        format!(
            "{transfer} VALUES ({own}, 'SEND', {site}, 'a', 'IN_PROGRESS', TRUE, 5, {person}, 2, \
             {person}, NULL, 3, 1, 3, {empty}, 4)"
        ),
        format!(
            "{transfer} VALUES ({waiting}, 'SEND', {site}, 'a', 'PENDING_APPROVAL', TRUE, 0, {person}, \
             NULL, NULL, 4000000000000000, NULL, 1, 1, {empty}, 2)"
        ),
    ];
    for statement in statements {
        behind
            .execute_unprepared(&statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    behind.close().await.expect("it closes");
}

#[tokio::test]
async fn an_older_database_keeps_its_rows_and_goes_on() {
    let database = Database::empty().await;
    old_rows(&database).await;
    let world = World::on(database, WorldOptions::still()).await;
    let mut raw = world.services().await;
    let site = raw.site_now(SITE).await;
    assert_eq!((site.name.as_str(), site.revision), ("old", 1));
    assert_eq!(site.status(), ConnectionStatus::Active);
    let everything = v1::ConnectionPolicy {
        approval_mode: v1::ApprovalMode::AutoApprove.into(),
        ..v1::ConnectionPolicy::default()
    };
    assert_eq!(site.policy, Some(everything));

    // What was approved stands, and is marked as what it is; what waits is under the rule.
    let own = raw.now(OWN).await;
    assert_eq!(
        (own.approved_by_uuid.as_str(), own.self_approval),
        (PERSON, true)
    );
    assert_eq!(own.policy_revision, 0);
    let approve = v1::ApproveTransferRequest {
        admin_user_uuid: PERSON.to_owned(),
        ..request::approval(WAITING)
    };
    let refusal = raw.transfers.approve_transfer(approve).await;
    let refusal = refusal.expect_err("he initiated it");
    assert_refused(&refusal, Code::PermissionDenied, "SELF_APPROVAL");
    raw.approve(WAITING).await;
    raw.report(OWN, 6).await;
    raw.complete(OWN, 7).await;
    raw.create(of(SITE)).await;

    // Its connection's request is still taken.
    let again = v1::CreateConnectionRequest {
        request_id: "old-1".to_owned(),
        ..tidegate_tests::site::proposal()
    };
    let refusal = raw.connections.create_connection(again).await;
    let refusal = refusal.expect_err("its body was another one");
    assert_refused(&refusal, Code::AlreadyExists, "REQUEST_ID_REUSED");

    // A limit counts what the older release did.
    let policy = v1::ConnectionPolicy {
        max_transfers: Some(2),
        max_records_total: Some(10),
        ..v1::ConnectionPolicy::default()
    };
    let limited = raw.limit(SITE, policy).await;
    assert_eq!((limited.transfers_used, limited.records_used), (1, 7));
    let started = done(raw.transfers.start_transfer(request::starting(WAITING))).await;
    assert_eq!(started.status(), TransferStatus::InProgress);
    let refusal = raw.transfers.create_transfer(of(SITE)).await;
    let refusal = refusal.expect_err("both are used up");
    assert_refused(&refusal, Code::FailedPrecondition, "TRANSFER_LIMIT_REACHED");
    raw.step(Step::Suspend, SITE).await;
    let get = v1::GetConnectionRequest {
        uuid: SITE.to_owned(),
    };
    let found = told(raw.connections.get_connection(get)).await.connection;
    assert_eq!(
        found.map(|it| it.status()),
        Some(ConnectionStatus::Suspended)
    );
}
