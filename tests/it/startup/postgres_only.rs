//! What can be wrong with a PostgreSQL that a server is pointed at.

use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use tidegate_tests::{Database, ServerProcess, process::run};
use tokio::net::TcpListener;
use url::Url;

use super::{create, says_no, server};

/// Who has to say a password: see `scripts/postgres`.
const ROLE: &str = "with_password";
/// Longest time until an operator hears what is wrong.
const PATIENCE: Duration = Duration::from_secs(15);

fn with(database: &Database, change: impl Fn(&mut Url)) -> String {
    let mut url = Url::parse(database.url()).expect("a URL");
    change(&mut url);
    url.into()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_database_that_is_not_there_is_said_in_one_line() {
    let database = Database::empty().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = closed.local_addr().expect("it is bound").port();
    drop(closed);
    let nowhere = with(&database, |url| url.set_port(Some(port)).expect("a port"));
    let began = Instant::now();
    let name = database.name().expect("it has a name");
    says_no(&mut server(&nowhere), &["127.0.0.1", name]).await;
    let missing = with(&database, |url| url.set_path("no_such_database"));
    says_no(
        &mut server(&missing),
        &["no_such_database", "does not exist"],
    )
    .await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let database = Database::empty().await;
    let admin = database.connect().await;
    let made = format!(
        "DROP ROLE IF EXISTS {ROLE}; CREATE ROLE {ROLE} LOGIN SUPERUSER PASSWORD 'open sesame'"
    );
    let made = admin.execute_unprepared(&made).await;
    made.expect("a role can be made");
    let as_role = |password: &str| {
        with(&database, |url| {
            url.set_username(ROLE).expect("a name");
            url.set_password(Some(password)).expect("a password");
        })
    };
    let wrong = as_role("hunter2");
    let words = ["password authentication failed", ROLE];
    says_no(&mut server(&wrong), &words).await;
    let ended = run(&mut server(&wrong)).await;
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");

    let right = database.at(&as_role("open sesame"));
    let server = ServerProcess::start(&right, 0, &[]).await;
    create(&server).await;
    assert!(!server.log().contains("sesame"), "{}", server.log());
    let (status, _) = server.terminate().await;
    assert!(status.success());
}
