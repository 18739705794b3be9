//! Signals that are no order to end do not end it.

use super::*;

#[tokio::test]
async fn sighup_without_tls_and_a_file_says_that_nothing_has_changed() {
    let server = ServerProcess::fresh().await;
    for _ in 0..2 {
        server.signal("HUP").await;
        server.logged("SIGHUP: no setting has changed").await;
    }
    create_all(&server.raw().await, 3).await;
    let (status, _) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
}

#[cfg(test)]
mod postgres_only {
    use std::process::Stdio;

    use tidegate_tests::process::{binary, command, signal};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn signals_are_heard_while_the_database_is_not_open_yet() {
        // It takes connections and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = silent.local_addr().expect("it is bound");
        let mut child = command(binary("tidegate-server"))
            .args([
                "--database-url",
                &format!("postgres://nobody@{address}/nothing"),
            ])
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let _asked = soon("a connection to the database", silent.accept()).await;
        for name in ["HUP", "TERM"] {
            signal(&child, name).await;
        }
        let status = tokio::time::timeout(LONGEST, child.wait()).await;
        let status = status.expect("it ends in time").expect("it is ours");
        assert_eq!(status.code(), Some(0));
    }
}
