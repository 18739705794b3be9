//! The end of a server that was told to stop: everybody hears of it, nothing acknowledged is lost, and it takes no longer
//! than it may, whoever clings to it.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use tidegate_proto::v1::{self, transfer_service_client::TransferServiceClient};
use tidegate_tests::{Database, ServerProcess, assert_refused, soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

/// Longest time from SIGTERM to the end.
const LONGEST: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_tells_every_stream_and_keeps_every_answer() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &[]).await;
    let mut client = server.raw().await;
    let uuid = begun(&mut client).await;
    let mut clinging = Vec::new();
    for _ in 0..5 {
        let channel = server.raw().await;
        for _ in 0..10 {
            clinging.push(watch(channel.clone(), uuid.clone()).await);
        }
        for _ in 0..2 {
            clinging.push(report(channel.clone(), begun(&mut client).await).await);
        }
    }
    let idle = join_all((0..3).map(|_| server.channel())).await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(
            TcpStream::connect(server.authority())
                .await
                .expect("the server listens"),
        );
    }
    let writers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(write(client.clone())))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;

    let (status, took) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
    assert!(took < LONGEST, "{took:?}");
    eprintln!("drain: {took:?} with {} streams open", clinging.len());
    for each in clinging {
        let end = soon("the end of a stream", each).await.expect("no panic");
        let refused = assert_refused(&end, Code::Unavailable, "SHUTTING_DOWN");
        assert!(refused.has_retry_info);
    }
    for mut socket in silent {
        let end = soon("the end of a silent socket", socket.read(&mut [0; 64])).await;
        // A server may say good-bye in HTTP/2 or just close.
        assert!(!matches!(end, Err(error) if error.kind() == std::io::ErrorKind::TimedOut));
    }
    drop(idle);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(soon("the end of a writer", writer).await.expect("no panic"));
    }
    assert!(!acknowledged.is_empty(), "nothing was written");
    there_again(&database, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_watchers_hear_of_it_before_streams_end() {
    let database = Database::fresh().await;
    let server = ServerProcess::start(&database, 0, &["--drain-delay", "1s"]).await;
    let mut client = server.raw().await;
    let uuid = begun(&mut client).await;
    let mut overall = health(&server, "").await;
    let mut service = health(&server, "tidegate.v1.TransferService").await;
    for watch in [&mut overall, &mut service] {
        assert_eq!(next(watch).await, ServingStatus::Serving);
    }
    let mut ended = watch(client.clone(), uuid).await;

    let began = std::time::Instant::now();
    server.begin_drain().await;
    for watch in [&mut overall, &mut service] {
        assert_eq!(next(watch).await, ServingStatus::NotServing);
    }
    assert!(!ended.is_finished(), "streams end only after the delay");
    assert!(
        client
            .count_transfers(v1::CountTransfersRequest::default())
            .await
            .is_ok(),
        "calls are served meanwhile"
    );
    let end = soon("the end of the watch", &mut ended)
        .await
        .expect("no panic");
    assert_refused(&end, Code::Unavailable, "SHUTTING_DOWN");
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    // The health watchers still cling to it.
    assert_eq!(server.ended().await.code(), Some(0));
    eprintln!("drain: {:?} with two health watchers", began.elapsed());
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = ServerProcess::fresh().await;
    let silent = TcpStream::connect(server.authority())
        .await
        .expect("the server listens");
    let mut slow = TcpStream::connect(server.authority())
        .await
        .expect("the server listens");
    slow.write_all(b"PRI * HTTP")
        .await
        .expect("it takes a few bytes");
    let began = std::time::Instant::now();
    for mut socket in [silent, slow] {
        let read = soon(
            "the end of a silent connection",
            socket.read_to_end(&mut Vec::new()),
        )
        .await;
        assert!(
            read.is_ok()
                || read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
        );
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(9) && took < Duration::from_secs(13),
        "{took:?}"
    );
    let (status, _) = server.terminate().await;
    assert_eq!(status.code(), Some(0));
}

/// A transfer in progress.
async fn begun(client: &mut TransferServiceClient<Channel>) -> String {
    let uuid = create(client).await.expect("it is created");
    let start = v1::StartTransferRequest {
        uuid: uuid.clone(),
        ..Default::default()
    };
    client.start_transfer(start).await.expect("it starts");
    uuid
}

async fn create(client: &mut TransferServiceClient<Channel>) -> Result<String, Status> {
    let request = v1::CreateTransferRequest {
        direction: v1::Direction::Send.into(),
        table_name: "orders".to_owned(),
        ..Default::default()
    };
    let transfer = client.create_transfer(request).await?.into_inner().transfer;
    Ok(transfer.expect("an answer has a transfer").uuid)
}

/// Watches until the stream ends, and returns how.
async fn watch(mut client: TransferServiceClient<Channel>, uuid: String) -> JoinHandle<Status> {
    let stream = client
        .watch_transfer(v1::WatchTransferRequest { uuid })
        .await;
    let mut stream = stream.expect("the watch opens").into_inner();
    stream
        .message()
        .await
        .expect("a snapshot")
        .expect("a snapshot");
    tokio::spawn(async move {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("it ended without a word"),
                Err(status) => return status,
            }
        }
    })
}

/// Reports until the stream ends, and returns how.
async fn report(mut client: TransferServiceClient<Channel>, uuid: String) -> JoinHandle<Status> {
    let (reports, stream) = mpsc::channel(4);
    let report = v1::ReportProgressRequest {
        uuid,
        ..Default::default()
    };
    reports
        .send(report.clone())
        .await
        .expect("the stream takes it");
    let answers = client.report_progress(ReceiverStream::new(stream)).await;
    let mut answers = answers.expect("the stream opens").into_inner();
    answers
        .message()
        .await
        .expect("an answer")
        .expect("an answer");
    tokio::spawn(async move {
        loop {
            match answers.message().await {
                Ok(Some(_)) => _ = reports.send(report.clone()).await,
                Ok(None) => return Status::ok("it ended without a word"),
                Err(status) => return status,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

/// Creates transfers until the server takes none any more, and returns those that it acknowledged.
async fn write(mut client: TransferServiceClient<Channel>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    while let Ok(uuid) = create(&mut client).await {
        acknowledged.push(uuid);
    }
    acknowledged
}

async fn there_again(database: &Database, acknowledged: &[String]) {
    let server = ServerProcess::start(database, 0, &[]).await;
    let mut client = server.raw().await;
    for uuid in acknowledged {
        let request = v1::GetTransferRequest {
            uuid: uuid.clone(),
            preload: Vec::new(),
        };
        client
            .get_transfer(request)
            .await
            .expect("what was acknowledged is there");
    }
    server.kill().await;
}

async fn health(server: &ServerProcess, service: &str) -> tonic::Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    client
        .watch(request)
        .await
        .expect("the watch opens")
        .into_inner()
}

async fn next(watch: &mut tonic::Streaming<HealthCheckResponse>) -> ServingStatus {
    let said = soon("a word about health", watch.next())
        .await
        .expect("it is open");
    said.expect("no failure").status()
}
