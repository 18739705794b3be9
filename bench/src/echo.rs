//! The yardstick of calls: a bare tonic server in a process of its own, which answers with messages of the same size and
//! does nothing for them.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::{StreamExt as _, future::BoxFuture, stream, stream::BoxStream};
use http::{Request, Response};
use tidegate_proto::v1;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Status, Streaming,
    body::Body,
    codec::EnabledCompressionEncodings,
    server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService},
    service::Routes,
};
use tonic_prost::ProstCodec;
use tower::Service;

/// What the line begins with that says where it listens.
const SERVING: &str = "echo at ";

/// Answers `GetTransfer`, `ReportProgress`, `WatchTransfers` and `WatchEvents` as a server would that has nothing to do.
#[derive(Clone)]
struct Echo {
    transfer: v1::Transfer,
    event: v1::Event,
}

impl NamedService for Echo {
    const NAME: &'static str = "tidegate.v1.TransferService";
}

/// The same for the path of the other service.
#[derive(Clone)]
struct EchoEvents(Echo);

impl NamedService for EchoEvents {
    const NAME: &'static str = "tidegate.v1.EventService";
}

impl Service<Request<Body>> for EchoEvents {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/tidegate.v1.TransferService/GetTransfer" => {
                    Grpc::new(ProstCodec::default())
                        .unary(Get(echo), request)
                        .await
                }
                "/tidegate.v1.TransferService/ReportProgress" => {
                    Grpc::new(ProstCodec::default())
                        .streaming(Reports, request)
                        .await
                }
                "/tidegate.v1.TransferService/WatchTransfers" => {
                    Grpc::new(ProstCodec::default())
                        .server_streaming(Silence, request)
                        .await
                }
                "/tidegate.v1.EventService/WatchEvents" => {
                    Grpc::new(ProstCodec::default())
                        .apply_compression_config(
                            EnabledCompressionEncodings::default(),
                            EnabledCompressionEncodings::default(),
                        )
                        .server_streaming(Events(echo), request)
                        .await
                }
                _ => Status::unimplemented("an echo").into_http(),
            })
        })
    }
}

struct Get(Echo);

impl UnaryService<v1::GetTransferRequest> for Get {
    type Response = v1::GetTransferResponse;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::Response>, Status>>;

    fn call(&mut self, _: tonic::Request<v1::GetTransferRequest>) -> Self::Future {
        let transfer = Some(self.0.transfer.clone());
        Box::pin(async { Ok(tonic::Response::new(v1::GetTransferResponse { transfer })) })
    }
}

/// Reads to the end of the stream and answers once.
struct Reports;

impl StreamingService<v1::ReportProgressRequest> for Reports {
    type Response = v1::ReportProgressResponse;
    type ResponseStream = BoxStream<'static, Result<Self::Response, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(
        &mut self,
        request: tonic::Request<Streaming<v1::ReportProgressRequest>>,
    ) -> Self::Future {
        let mut reports = request.into_inner();
        let answer = stream::once(async move {
            while reports.message().await?.is_some() {}
            Ok(v1::ReportProgressResponse::default())
        });
        Box::pin(async { Ok(tonic::Response::new(answer.boxed())) })
    }
}

/// Says that it is live, and nothing more.
struct Silence;

impl ServerStreamingService<v1::WatchTransfersRequest> for Silence {
    type Response = v1::WatchTransfersResponse;
    type ResponseStream = BoxStream<'static, Result<Self::Response, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<v1::WatchTransfersRequest>) -> Self::Future {
        let update = Some(v1::watch_transfers_response::Update::CaughtUp(true));
        let first = stream::iter([Ok(v1::WatchTransfersResponse {
            update,
            ..v1::WatchTransfersResponse::default()
        })]);
        let updates = first.chain(stream::pending());
        Box::pin(async { Ok(tonic::Response::new(updates.boxed())) })
    }
}

struct Events(Echo);

impl ServerStreamingService<v1::WatchEventsRequest> for Events {
    type Response = v1::WatchEventsResponse;
    type ResponseStream = BoxStream<'static, Result<Self::Response, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<v1::WatchEventsRequest>) -> Self::Future {
        let event = v1::watch_events_response::Update::Event(self.0.event.clone());
        let update = v1::WatchEventsResponse {
            update: Some(event),
        };
        let events = stream::iter(std::iter::repeat_with(move || Ok(update.clone())));
        Box::pin(async { Ok(tonic::Response::new(events.boxed())) })
    }
}

/// Serves until the process is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("{SERVING}{}", listener.local_addr()?);
    let echo = Echo {
        transfer: sample_transfer(),
        event: sample_event(),
    };
    let mut services = Routes::builder();
    services
        .add_service(EchoEvents(echo.clone()))
        .add_service(echo);
    tonic::transport::Server::builder()
        .add_routes(services.routes().prepare())
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

/// The address in the line that says where it listens.
pub(crate) fn address(line: &str) -> Option<String> {
    let address = line.strip_prefix(SERVING)?;
    Some(format!("http://{address}"))
}

fn sample_uuid() -> String {
    "0198d2a5-7c1b-7d3e-9a54-1f2e3d4c5b6a".to_owned()
}

/// As large as what the server answers with for a transfer of these runs.
fn sample_transfer() -> v1::Transfer {
    let time = Some(std::time::SystemTime::now().into());
    v1::Transfer {
        uuid: sample_uuid(),
        direction: v1::Direction::Send.into(),
        table_name: "public.orders".to_owned(),
        status: v1::TransferStatus::InProgress.into(),
        records_requested: 1_000_000,
        progress: Some(crate::calls::totals(123_456)),
        requester_user_agent: "tonic/0.14.9".to_owned(),
        started_at: time,
        inserted_at: time,
        updated_at: time,
        revision: 42,
        success_rate: 100.0,
        observed_ip: "127.0.0.1".to_owned(),
        ..v1::Transfer::default()
    }
}

fn sample_event() -> v1::Event {
    v1::Event {
        sequence: 123_456,
        transfer_uuid: sample_uuid(),
        actor: "anonymous".to_owned(),
        revision: 2,
        occurred_at: Some(std::time::SystemTime::now().into()),
        hash: vec![7; 32],
        ..v1::Event::default()
    }
}
