//! Secrets are looked for where they must not be: in the log of a server that tells everything, in what the database
//! stores, and in what errors say.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tidegate_proto::v1;
use tidegate_tests::{
    Database,
    actors::{bearing, connection, with_wrong_secret},
    process::ServerProcess,
    raw::{NOBODY, Raw, told},
    soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Channel;

use super::{caller, create, printed, secret};

/// What was told to callers in confidence.
#[derive(Default)]
struct Secrets {
    tokens: Vec<String>,
    /// The code that nobody has redeemed yet.
    open: String,
    /// The code that is good for nothing more: it is on its agent from then on.
    spent: String,
    /// What refusals said.
    errors: String,
}

impl Secrets {
    /// Each secret as it could be found in `where`.
    fn assert_absent(&self, place: &str, content: &[u8], codes: &[&str]) {
        let texts = self.tokens.iter().map(|token| secret(token));
        for text in texts.chain(codes.iter().copied()) {
            for form in [text.to_owned(), text.to_uppercase(), hex(text)] {
                let found = content
                    .windows(form.len())
                    .position(|window| window == form.as_bytes());
                assert_eq!(found, None, "a secret is in {place}, as {form}");
            }
        }
    }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Creates, rotates, redeems and uses, well and badly.
async fn live(channel: &Channel, admin: &str) -> Secrets {
    let mut secrets = Secrets::default();
    let mut raw = Raw::on(channel.clone());
    let connection = connection(channel, admin, "north").await;
    let create = v1::CreateCredentialRequest {
        name: "desk".to_owned(),
        role: v1::Role::Viewer.into(),
        request_id: "desk".to_owned(),
        ..v1::CreateCredentialRequest::default()
    };
    let created = told(raw.credentials.create_credential(bearing(admin, create))).await;
    let rotate = v1::RotateCredentialRequest {
        uuid: created.credential.expect("the credential").uuid,
        ..v1::RotateCredentialRequest::default()
    };
    let rotated = told(raw.credentials.rotate_credential(bearing(admin, rotate))).await;
    let rotate = v1::RotateConnectionTokenRequest {
        uuid: connection.clone(),
        ..v1::RotateConnectionTokenRequest::default()
    };
    let rotate = bearing(admin, rotate);
    let agent = told(raw.connections.rotate_connection_token(rotate)).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        let open = v1::CreateSessionRequest {
            connection_uuid: connection.clone(),
            ..v1::CreateSessionRequest::default()
        };
        let opened = told(raw.credentials.create_session(bearing(admin, open))).await;
        codes.push(opened.session_code);
    }
    secrets.spent = codes.pop().expect("a code");
    secrets.open = codes.pop().expect("a code");
    let redeem = v1::RedeemSessionRequest {
        session_code: secrets.spent.clone(),
    };
    let redeemed = told(raw.credentials.redeem_session(redeem.clone())).await;
    for token in [&rotated.token, &agent.token, &redeemed.token] {
        caller(channel, token).await.expect("the token is good");
    }
    let wrong = with_wrong_secret(&rotated.token);
    for refused in [&created.token, &wrong, &rotated.token.to_uppercase()] {
        let refusal = caller(channel, refused).await.expect_err("it is not good");
        _ = write!(secrets.errors, "{refusal:?}");
    }
    let refusal = raw.credentials.redeem_session(redeem).await;
    _ = write!(secrets.errors, "{refusal:?}");
    let unknown = v1::RotateCredentialRequest {
        uuid: NOBODY.to_owned(),
        ..v1::RotateCredentialRequest::default()
    };
    let refusal = raw
        .credentials
        .rotate_credential(bearing(admin, unknown))
        .await;
    _ = write!(secrets.errors, "{refusal:?}");
    secrets.tokens = vec![
        admin.to_owned(),
        created.token,
        rotated.token,
        agent.token,
        redeemed.token,
        wrong,
    ];
    secrets
}

/// The same question by the way of browsers, whose headers go through other code.
async fn ask_over_http1(server: &ServerProcess, token: &str) -> String {
    let mut stream = TcpStream::connect(server.authority())
        .await
        .expect("a port");
    let head = format!(
        "POST /tidegate.v1.CredentialService/GetCaller HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/grpc-web+proto\r\nauthorization: Bearer {token}\r\ncontent-length: 5\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&[0; 5]).await.expect("sent");
    let mut answer = Vec::new();
    soon("the answer", stream.read_to_end(&mut answer))
        .await
        .expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Everything that is stored, as text.
async fn dump(database: &Database) -> Vec<u8> {
    let Some(path) = database.path() else {
        return tables(database).await.into_bytes();
    };
    let mut content = std::fs::read(path).expect("the file");
    for suffix in ["-wal", "-shm"] {
        let beside = format!("{}{suffix}", path.display());
        content.extend(std::fs::read(beside).unwrap_or_default());
    }
    content
}

/// Every row of every table of PostgreSQL.
async fn tables(database: &Database) -> String {
    let pool = database.connect().await;
    let ask = async |sql: String| -> Vec<String> {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let rows = pool.query_all_raw(statement).await.expect("rows");
        let text = |row: sea_orm::QueryResult| row.try_get_by_index(0).expect("text");
        rows.into_iter().map(text).collect()
    };
    let list = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut dump = String::new();
    for table in ask(list.to_owned()).await {
        let rows = ask(format!("SELECT row::text FROM \"{table}\" AS row")).await;
        _ = writeln!(dump, "{table}\n{}", rows.join("\n"));
    }
    dump
}

#[tokio::test]
async fn no_secret_is_logged_stored_or_told_in_an_error() {
    let database = Database::fresh().await;
    let admin = ["--role", "admin", "--name", "first"];
    let admin = printed(&create(&database, &admin).await);
    let arguments = ["--auth", "required", "--log", "trace"];
    let server = ServerProcess::start(&database, 0, &arguments).await;
    let channel = server.channel().await;
    let secrets = live(&channel, &admin).await;
    let answer = ask_over_http1(&server, &admin).await;
    assert!(answer.contains("first"), "{answer}");

    let stored = dump(&database).await;
    // What is no secret is found, so that a secret would be too.
    let is_stored = |text: &str| stored.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(is_stored("desk") && is_stored(&secrets.spent));
    secrets.assert_absent("the database", &stored, &[&secrets.open]);
    let codes = [secrets.open.as_str(), &secrets.spent];
    secrets.assert_absent("an error", secrets.errors.as_bytes(), &codes);

    let log = async {
        loop {
            let log = server.log();
            if log.contains("SESSION_REDEEMED") && log.contains("/GetCaller") {
                return log;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let log = soon("the end of the log", log).await;
    assert!(
        log.contains("TRACE") && log.contains("h2::"),
        "it tells all"
    );
    secrets.assert_absent("the log", log.as_bytes(), &codes);
}
