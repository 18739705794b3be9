//! `tidegate-server token create`: the first token, before anybody can call.

use tidegate_proto::v1::{self, EventType};
use tidegate_tests::{
    Database,
    actors::bearing,
    process::ServerProcess,
    raw::{NOBODY, Raw, told},
};

use super::{caller, create, printed, secret};

const ADMIN: &[&str] = &["--role", "admin", "--name", "first"];

#[tokio::test]
async fn the_first_token_is_made_without_a_server_and_lets_its_owner_in() {
    let database = Database::fresh().await;
    let created = create(&database, &[ADMIN, &["--expires-in", "1h"]].concat()).await;
    let token = printed(&created);
    assert!(
        created.stderr.contains("shown this once"),
        "{}",
        created.stderr
    );
    assert!(!created.stderr.contains(secret(&token)));

    let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
    let channel = server.channel().await;
    let me = caller(&channel, &token).await.expect("the token is good");
    assert_eq!((me.name.as_str(), me.role()), ("first", v1::Role::Admin));
    let (inserted, expires) = (me.inserted_at, me.expires_at);
    let life = expires.expect("an end").seconds - inserted.expect("a time").seconds;
    assert_eq!(life, 3_600);

    let request = v1::ListEventsRequest::default();
    let mut raw = Raw::on(channel);
    let events = told(raw.events.list_events(bearing(&token, request)))
        .await
        .events;
    let [event] = events.as_slice() else {
        panic!("one event: {events:?}");
    };
    assert_eq!(event.r#type(), EventType::CredentialCreated);
    assert_eq!(event.actor, "console");
    assert_eq!((&event.subject_uuid, event.sequence), (&me.uuid, 1));
}

#[tokio::test]
async fn what_makes_no_credential_is_said_in_one_line() {
    let database = Database::fresh().await;
    let cases: &[(&[&str], &str)] = &[
        (&["--role", "agent", "--name", "north"], "connection_uuid"),
        (
            &["--role", "agent", "--name", "north", "--connection", NOBODY],
            NOBODY,
        ),
        (
            &["--role", "viewer", "--name", "x", "--connection", NOBODY],
            "connection_uuid",
        ),
        (&["--role", "admin", "--name", ""], "name"),
    ];
    for (arguments, word) in cases {
        let refused = create(&database, arguments).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert_eq!(refused.stdout, "");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    for arguments in [
        &["--role", "root", "--name", "x"][..],
        &["--role", "admin", "--name", "x", "--expires-in", "59s"],
        &["--role", "admin"],
    ] {
        let refused = create(&database, arguments).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
}

mod sqlite_only {
    use super::*;

    #[tokio::test]
    async fn a_running_server_is_asked_instead() {
        let server = ServerProcess::fresh().await;
        let refused = create(server.database(), ADMIN).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
        assert!(
            refused.stderr.contains("tidegate credential create"),
            "{refused:?}"
        );
        assert!(refused.stderr.contains("in use"), "{refused:?}");
    }
}

mod postgres_only {
    use tidegate_tests::database::{Kind, kind};

    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_token_is_made_beside_running_servers() {
        if kind() != Kind::Postgres {
            return;
        }
        let database = Database::fresh().await;
        let server = ServerProcess::start(&database, 0, &["--auth", "required"]).await;
        let token = printed(&create(&database, ADMIN).await);
        let me = caller(&server.channel().await, &token).await;
        assert_eq!(me.expect("the token is good").name, "first");
    }
}
