//! Signed checkpoints show what the chain alone cannot: a log that was rewritten or cut by whoever holds the database.

use std::{
    fs::{self, OpenOptions, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use rcgen::{KeyPair, PKCS_ED25519};
use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use tidegate_domain::chain::{GENESIS, link};
use tidegate_store::{Migrate, Snapshot};
use tidegate_tests::{
    Database, ServerProcess,
    audit::verify,
    fault::Shim,
    metrics,
    process::{Finished, Launch, binary, command, run},
    raw::Raw,
    soon,
};

use super::{at, tamper::bytes};

/// A key, and the file that is signed with it.
pub(crate) struct Signer {
    folder: TempDir,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        let signer = Self { folder };
        fs::write(signer.path("key"), pair.serialize_pem()).expect("written");
        fs::set_permissions(signer.path("key"), Permissions::from_mode(0o600)).expect("its mode");
        fs::write(signer.path("public"), pair.public_key_pem()).expect("written");
        signer
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a text").to_owned()
    }

    /// For a server that signs as often as it may.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            format!("--checkpoint-key={}", self.text("key")),
            format!("--checkpoint-file={}", self.text("signed")),
            "--checkpoint-interval=10ms".to_owned(),
        ]
    }

    fn signed(&self) -> String {
        fs::read_to_string(self.path("signed")).unwrap_or_default()
    }

    /// Waits until a position is signed.
    pub(crate) async fn reaches(&self, sequence: i64) {
        let line = format!("\n{sequence}\n");
        let signed = async {
            while !self.signed().contains(&line) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        soon("a checkpoint", signed).await;
    }

    async fn serve(&self, database: &Database) -> ServerProcess {
        let arguments = self.arguments();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        ServerProcess::start(database, 0, &arguments).await
    }

    /// As [`serve`](Self::serve), with metrics, whose address is told, and with files that can fail.
    pub(crate) async fn serve_with(
        &self,
        database: &Database,
        shim: &Shim,
    ) -> (ServerProcess, String) {
        let own = self.arguments();
        let mut arguments: Vec<_> = own.iter().map(String::as_str).collect();
        arguments.extend(["--metrics-listen", "127.0.0.1:0"]);
        let launch = Launch {
            arguments: &arguments,
            variables: shim.variables(),
            ..Launch::default()
        };
        let server = ServerProcess::launch(database, launch).await;
        let address = metrics::address(&server).await;
        (server, address)
    }

    pub(crate) async fn verify(&self, database: &Database) -> Finished {
        let (signed, public) = (self.text("signed"), self.text("public"));
        verify(
            database,
            &["--checkpoints", &signed, "--public-key", &public],
        )
        .await
    }

    /// Declares transfers at a server, each of which is signed before the next.
    async fn live(&self, server: &ServerProcess, sequences: std::ops::RangeInclusive<i64>) {
        let mut raw = Raw::on(server.channel().await);
        for sequence in sequences {
            raw.declared().await;
            self.reaches(sequence).await;
        }
    }
}

/// A log of five events, each of which was signed, and nobody who serves it.
async fn signed() -> (Signer, Database) {
    let (signer, database) = (Signer::new(), Database::fresh().await);
    let server = signer.serve(&database).await;
    signer.live(&server, 1..=5).await;
    server.kill().await;
    (signer, database)
}

/// Whoever holds the database has another actor do what event 3 tells of, and computes the chain again.
async fn rewrite(database: &Database) {
    let options = at(database).options(Migrate::Check);
    let snapshot = Snapshot::open(database.url(), &options)
        .await
        .expect("open");
    let rows = snapshot.rows(0, 100).await.expect("rows");
    snapshot.close().await.expect("closed");
    let behind = database.connect().await;
    let mut previous = GENESIS;
    for row in rows {
        let mut event = row.event.expect("an event");
        if row.sequence == 3 {
            event.actor = "somebody else".to_owned();
        }
        previous = link(&previous, &event);
        let sql = format!(
            "UPDATE event SET actor = '{}', hash = {} WHERE sequence = {}",
            event.actor,
            bytes(&previous),
            row.sequence
        );
        behind.execute_unprepared(&sql).await.expect("rewritten");
    }
    behind.close().await.expect("closed");
}

async fn cut(database: &Database) {
    let behind = database.connect().await;
    let sql = "DELETE FROM event WHERE sequence > 3; UPDATE event_counter SET last_sequence = 3";
    behind.execute_unprepared(sql).await.expect("cut");
    behind.close().await.expect("closed");
}

#[track_caller]
fn says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for word in words {
        assert!(said.contains(word), "{word}: {finished:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_rewritten_with_its_chain_is_found() {
    let (signer, database) = signed().await;
    let whole = "events 1–5 verified";
    says(
        &signer.verify(&database).await,
        0,
        &[whole, "5 checkpoints agree\n"],
    );
    rewrite(&database).await;
    says(&verify(&database, &[]).await, 0, &[whole]);
    let found = signer.verify(&database).await;
    says(
        &found,
        1,
        &["event 3 does not have the hash that was signed at 20"],
    );
    assert_eq!(found.stdout.lines().count(), 1, "{found:?}");
}

#[tokio::test]
async fn a_log_that_was_cut_is_found_and_gets_no_new_signature() {
    let (signer, database) = signed().await;
    cut(&database).await;
    says(&verify(&database, &[]).await, 0, &["events 1–3 verified"]);
    says(
        &signer.verify(&database).await,
        1,
        &["events after 3 are missing: 4 was signed"],
    );
    // As after an old backup was restored: it grows again, beyond what was signed.
    let before = signer.signed();
    let server = signer.serve(&database).await;
    let mut raw = Raw::on(server.channel().await);
    server
        .logged("no longer has event 5 as it was signed")
        .await;
    for _ in 0..4 {
        raw.declared().await;
    }
    let log = server.log();
    let again = async {
        while server.log().matches("no longer has event 5").count()
            < log.matches("no longer has event 5").count() + 3
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    soon("three more looks", again).await;
    server.kill().await;
    assert_eq!(signer.signed(), before);
    says(
        &signer.verify(&database).await,
        1,
        &["event 4 does not have the hash"],
    );
}

#[tokio::test]
async fn other_keys_and_altered_checkpoints_are_found() {
    let (signer, database) = signed().await;
    let other = Signer::new();
    let (file, public) = (signer.text("signed"), other.text("public"));
    let with = |key: &str| {
        let arguments = ["--checkpoints", &file, "--public-key", key].map(str::to_owned);
        let database = database.clone();
        async move { verify(&database, &arguments.each_ref().map(String::as_str)).await }
    };
    says(
        &with(&public).await,
        1,
        &["signed with another key than those given, tidegate.v1/"],
    );
    says(
        &with(&signer.text("key")).await,
        2,
        &["holds no public key"],
    );
    says(
        &with("/nowhere/key").await,
        2,
        &["/nowhere/key cannot be read"],
    );
    let own = signer.text("public");
    let both = [
        "--checkpoints",
        &file,
        "--public-key",
        &public,
        "--public-key",
        &own,
    ];
    says(&verify(&database, &both).await, 0, &["5 checkpoints agree"]);
    says(
        &verify(&database, &["--checkpoints", &file]).await,
        2,
        &["--public-key"],
    );
    let text = signer.signed();
    for (altered, word) in [
        (
            text.replacen("\n2\n", "\n3\n", 1),
            "line 8 of the checkpoints: the signature is wrong",
        ),
        (
            text.replacen("time 20", "time 19", 1),
            "line 1 of the checkpoints: the signature is wrong",
        ),
        (
            text.replacen("\n2\n", "\ntwo\n", 1),
            "line 8 of the checkpoints: no checkpoint",
        ),
        (
            text.replacen("tidegate.v1/", "elsewhere.v1/", 1),
            "line 1 of the checkpoints: no checkpoint",
        ),
    ] {
        fs::write(signer.path("signed"), altered).expect("written");
        says(&signer.verify(&database).await, 1, &[word]);
    }
    fs::write(signer.path("signed"), "").expect("written");
    says(
        &signer.verify(&database).await,
        2,
        &["holds no whole checkpoint"],
    );
}

#[tokio::test]
async fn a_checkpoint_that_was_not_written_to_its_end_is_skipped() {
    let (signer, database) = signed().await;
    let length = signer.signed().len() as u64;
    let file = OpenOptions::new().write(true).open(signer.path("signed"));
    file.expect("open").set_len(length - 30).expect("cut");
    let torn = "line 29 of the checkpoints: not written to its end, skipped";
    says(
        &signer.verify(&database).await,
        0,
        &[torn, "4 checkpoints agree"],
    );
    let server = signer.serve(&database).await;
    signer.live(&server, 6..=6).await;
    server.kill().await;
    says(
        &signer.verify(&database).await,
        0,
        &[torn, "checkpoints agree", "events 1–6"],
    );
}

#[tokio::test]
async fn whenever_the_server_is_killed_its_checkpoints_hold() {
    let (signer, database) = (Signer::new(), Database::fresh().await);
    for round in 0..5_u64 {
        let server = signer.serve(&database).await;
        let mut raw = Raw::on(server.channel().await);
        let work = async {
            loop {
                raw.declared().await;
            }
        };
        let kill = tokio::time::sleep(std::time::Duration::from_millis(100 + round * 37));
        tokio::select! {
            () = work => {}
            () = kill => {}
        }
        server.kill().await;
        says(&signer.verify(&database).await, 0, &["agree"]);
    }
    assert!(
        signer.signed().matches("\ntime ").count() > 5,
        "{}",
        signer.signed()
    );
}

#[tokio::test]
async fn a_key_that_others_can_read_and_a_file_with_a_writer_are_refused() {
    let (signer, database) = (Signer::new(), Database::fresh().await);
    let start = async |database: &Database| {
        let mut server = command(binary("tidegate-server"));
        server
            .args(["--listen", "127.0.0.1:0", "--database-url", database.url()])
            .args(signer.arguments());
        run(&mut server).await
    };
    fs::set_permissions(signer.path("key"), Permissions::from_mode(0o644)).expect("its mode");
    says(
        &start(&database).await,
        1,
        &["is not for its owner alone (mode 644): chmod 600"],
    );
    let mut check = command(binary("tidegate-server"));
    check.args(["config", "check"]).args(signer.arguments());
    says(&run(&mut check).await, 1, &["(mode 644)"]);
    fs::set_permissions(signer.path("key"), Permissions::from_mode(0o640)).expect("its mode");
    let server = signer.serve(&database).await;
    says(
        &start(&Database::fresh().await).await,
        1,
        &["another process writes it"],
    );
    server.kill().await;
    fs::write(signer.path("key"), "none").expect("written");
    says(
        &start(&database).await,
        1,
        &["holds no private key of Ed25519", "openssl genpkey"],
    );
}

#[tokio::test]
async fn where_nothing_happens_nothing_is_signed_and_retention_is_no_failure() {
    let (signer, database) = signed().await;
    let before = signer.signed();
    let server = signer.serve(&database).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    server.kill().await;
    assert_eq!(signer.signed(), before);
    let behind = database.connect().await;
    let forget = "UPDATE event_counter SET floor_sequence = 3, \
                  floor_hash = (SELECT hash FROM event WHERE sequence = 3); \
                  DELETE FROM event WHERE sequence <= 3";
    behind.execute_unprepared(forget).await.expect("removed");
    behind.close().await.expect("closed");
    let words = ["3 checkpoints agree; 2 of events that retention removed cannot be compared"];
    says(&signer.verify(&database).await, 0, &words);
}

mod postgres_only {
    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn two_replicas_sign_the_same_log_each_into_its_own_file() {
        let (one, two, database) = (Signer::new(), Signer::new(), Database::fresh().await);
        let (first, second) = (one.serve(&database).await, two.serve(&database).await);
        one.live(&first, 1..=3).await;
        two.reaches(3).await;
        two.live(&second, 4..=6).await;
        one.reaches(6).await;
        for server in [first, second] {
            server.kill().await;
        }
        for signer in [one, two] {
            says(&signer.verify(&database).await, 0, &["events 1–6", "agree"]);
        }
    }
}
