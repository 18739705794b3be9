//! The server that plays a script. It knows nothing of the rules: each test says what is answered to what.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{StreamExt as _, stream::BoxStream};
use tidegate_client::{Client, RetryPolicy};
use tidegate_proto::v1::{
    self,
    transfer_service_server::{TransferService, TransferServiceServer},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Code, Request, Response, Status, Streaming, service::interceptor::InterceptedService,
    transport::Server,
};
use tonic_types::{ErrorDetails, StatusExt as _};
use uuid::Uuid;

/// Longer than anything that should happen takes, short enough for a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Answers the n-th call (from 0) of one kind.
type Unary<Q, A> = Box<dyn Fn(usize, Q) -> Result<A, Status> + Send + Sync>;
/// What the n-th stream of one kind says.
type Streamed<Q, A> = Box<dyn Fn(usize, Q) -> Result<Said<A>, Status> + Send + Sync>;
/// What is done about a report: number of the stream, number of the message on it, and the message.
type Reports = Box<dyn Fn(usize, usize, &v1::ReportProgressRequest) -> Reply + Send + Sync>;

/// What a stream says, and whether it stays open after that.
pub(crate) struct Said<A> {
    pub(crate) messages: Vec<Result<A, Status>>,
    pub(crate) stays: bool,
}

pub(crate) enum Reply {
    /// Stored.
    Stored,
    /// No answer.
    Silence,
    /// This answer.
    Say(Box<v1::ReportProgressResponse>),
    /// The stream ends so.
    End(Status),
}

/// What the server does; a call without a line in the script is UNIMPLEMENTED.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) create: Option<Unary<v1::CreateTransferRequest, v1::CreateTransferResponse>>,
    pub(crate) get: Option<Unary<v1::GetTransferRequest, v1::GetTransferResponse>>,
    pub(crate) list: Option<Unary<v1::ListTransfersRequest, v1::ListTransfersResponse>>,
    pub(crate) recent:
        Option<Unary<v1::ListRecentTransfersRequest, v1::ListRecentTransfersResponse>>,
    pub(crate) complete: Option<Unary<v1::CompleteTransferRequest, v1::CompleteTransferResponse>>,
    pub(crate) fail: Option<Unary<v1::FailTransferRequest, v1::FailTransferResponse>>,
    pub(crate) claim: Option<Unary<v1::ClaimTransfersRequest, v1::ClaimTransfersResponse>>,
    pub(crate) register: Option<Unary<v1::RegisterAgentRequest, v1::RegisterAgentResponse>>,
    pub(crate) watch: Option<Streamed<v1::WatchTransferRequest, v1::WatchTransferResponse>>,
    pub(crate) watch_many: Option<Streamed<v1::WatchTransfersRequest, v1::WatchTransfersResponse>>,
    pub(crate) export: Option<Streamed<v1::ExportTransfersRequest, v1::ExportTransfersResponse>>,
    pub(crate) reports: Option<Reports>,
}

/// What the server heard.
#[derive(Default)]
pub(crate) struct Heard {
    /// How often each call or stream was asked for.
    counts: BTreeMap<&'static str, usize>,
    /// What each call and stream carried to say who makes it.
    pub(crate) authorizations: Vec<Option<String>>,
    /// Where each call and stream came from: the client's end of its connection.
    pub(crate) peers: Vec<Option<SocketAddr>>,
    pub(crate) reports: Vec<v1::ReportProgressRequest>,
    /// The answering side of the newest stream of reports.
    reporter: Option<mpsc::Sender<Result<v1::ReportProgressResponse, Status>>>,
    /// Streams of reports whose client is gone.
    pub(crate) reporters_gone: usize,
}

struct Stage {
    script: Script,
    heard: Mutex<Heard>,
}

impl Stage {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no test panics while it listens")
    }

    /// The number of this call among those of its kind, from 0.
    fn number(&self, call: &'static str) -> usize {
        let mut heard = self.heard();
        let count = heard.counts.entry(call).or_default();
        *count += 1;
        *count - 1
    }
}

/// A server on a runtime of its own: dropping it cuts every connection in the middle of whatever it does.
pub(crate) struct Fake {
    stage: Arc<Stage>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Fake {
    pub(crate) async fn play(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::play_on(listener, script)
    }

    /// Plays on a socket that something else was reached at before.
    pub(crate) fn play_on(listener: TcpListener, script: Script) -> Self {
        let address = listener.local_addr().expect("the socket is bound");
        let stage = Arc::new(Stage {
            script,
            heard: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let service = TransferServiceServer::from_arc(Arc::new(Play(Arc::clone(&stage))));
        let listening = Arc::clone(&stage);
        let service = InterceptedService::new(service, move |request: Request<()>| {
            let value = request.metadata().get("authorization");
            let value = value.and_then(|value| value.to_str().ok());
            let value = value.map(str::to_owned);
            let mut heard = listening.heard();
            heard.authorizations.push(value);
            heard.peers.push(request.remote_addr());
            Ok(request)
        });
        let listener = listener.into_std().expect("the socket is idle");
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a runtime is here");
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
        });
        Self {
            stage,
            address,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client with short pauses.
    pub(crate) fn client(&self) -> Client {
        client(self.address)
    }

    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.stage.heard()
    }

    pub(crate) fn count(&self, call: &'static str) -> usize {
        self.heard().counts.get(call).copied().unwrap_or_default()
    }

    /// Says something unasked on the newest stream of reports.
    pub(crate) async fn say(&self, answer: v1::ReportProgressResponse) {
        let reporter = self.heard().reporter.clone().expect("a stream is open");
        reporter.send(Ok(answer)).await.expect("the client listens");
    }

    /// Waits until what was heard satisfies the condition.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Heard) -> bool) {
        let check = async {
            while !condition(&self.heard()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, check)
            .await
            .unwrap_or_else(|_| panic!("the server did not hear in time: {what}"));
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn client(address: SocketAddr) -> Client {
    Client::builder(format!("http://{address}"))
        .timeout(Duration::from_secs(5))
        .retry(RetryPolicy {
            base: Duration::from_millis(5),
            cap: Duration::from_millis(50),
            ..RetryPolicy::default()
        })
        .connect_lazy()
        .expect("the address is fine")
}

/// A refusal with a reason, as the server words it.
pub(crate) fn refusal(code: Code, reason: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, "tidegate", []);
    Status::with_error_details(code, format!("refused: {reason}"), details)
}

/// A transfer as the server would send it, changed `second` seconds into 2026.
pub(crate) fn transfer(
    uuid: Uuid,
    revision: i64,
    status: v1::TransferStatus,
    second: i64,
) -> v1::Transfer {
    let at = |seconds| {
        Some(prost_types::Timestamp {
            seconds: 1_767_225_600 + seconds,
            nanos: 0,
        })
    };
    v1::Transfer {
        uuid: uuid.to_string(),
        direction: v1::Direction::Send.into(),
        table_name: "public.orders".to_owned(),
        status: status.into(),
        progress: Some(v1::Progress::default()),
        inserted_at: at(0),
        updated_at: at(second),
        revision,
        ..v1::Transfer::default()
    }
}

/// The answer that says that the reports are stored, or where the transfer stands now.
pub(crate) fn answer(uuid: &str, status: v1::TransferStatus) -> v1::ReportProgressResponse {
    v1::ReportProgressResponse {
        uuid: uuid.to_owned(),
        revision: 3,
        status: status.into(),
        ..v1::ReportProgressResponse::default()
    }
}

struct Play(Arc<Stage>);

impl Play {
    fn unary<Q, A>(
        &self,
        call: &'static str,
        line: Option<&Unary<Q, A>>,
        request: Request<Q>,
    ) -> Result<Response<A>, Status> {
        let number = self.0.number(call);
        let line = line.ok_or_else(|| Status::unimplemented(call))?;
        line(number, request.into_inner()).map(Response::new)
    }

    fn stream<Q, A: Send + 'static>(
        &self,
        call: &'static str,
        line: Option<&Streamed<Q, A>>,
        request: Request<Q>,
    ) -> Result<Response<BoxStream<'static, Result<A, Status>>>, Status> {
        let number = self.0.number(call);
        let line = line.ok_or_else(|| Status::unimplemented(call))?;
        let said = line(number, request.into_inner())?;
        let messages = futures::stream::iter(said.messages);
        Ok(Response::new(if said.stays {
            messages.chain(futures::stream::pending()).boxed()
        } else {
            messages.boxed()
        }))
    }
}

/// Reads reports and answers them as the script says.
async fn read(
    stage: Arc<Stage>,
    stream: usize,
    mut reports: Streaming<v1::ReportProgressRequest>,
    answers: mpsc::Sender<Result<v1::ReportProgressResponse, Status>>,
) {
    for number in 0.. {
        let Ok(Some(report)) = reports.message().await else {
            stage.heard().reporters_gone += 1;
            return;
        };
        let reply = match &stage.script.reports {
            Some(line) => line(stream, number, &report),
            None => Reply::Stored,
        };
        let uuid = report.uuid.clone();
        stage.heard().reports.push(report);
        let said = match reply {
            Reply::Stored => Ok(answer(&uuid, v1::TransferStatus::InProgress)),
            Reply::Silence => continue,
            Reply::Say(answer) => Ok(*answer),
            Reply::End(status) => Err(status),
        };
        let ends = said.is_err();
        if answers.send(said).await.is_err() || ends {
            return;
        }
    }
}

/// Writes the service: what is in braces, and UNIMPLEMENTED for the rest. The attribute must see the methods, so the
/// macro has to write the whole block.
macro_rules! service {
    ({ $($written:tt)* } $($method:ident($request:ident) -> $response:ident,)*) => {
        #[tonic::async_trait]
        impl TransferService for Play {
            $($written)*

            $(async fn $method(
                &self,
                _request: Request<v1::$request>,
            ) -> Result<Response<v1::$response>, Status> {
                Err(Status::unimplemented(stringify!($method)))
            })*
        }
    };
}

service! {
    {
        type ReportProgressStream = BoxStream<'static, Result<v1::ReportProgressResponse, Status>>;
        type ExportTransfersStream =
            BoxStream<'static, Result<v1::ExportTransfersResponse, Status>>;
        type WatchTransferStream = BoxStream<'static, Result<v1::WatchTransferResponse, Status>>;
        type WatchTransfersStream = BoxStream<'static, Result<v1::WatchTransfersResponse, Status>>;

        async fn create_transfer(
            &self,
            request: Request<v1::CreateTransferRequest>,
        ) -> Result<Response<v1::CreateTransferResponse>, Status> {
            self.unary("create", self.0.script.create.as_ref(), request)
        }

        async fn get_transfer(
            &self,
            request: Request<v1::GetTransferRequest>,
        ) -> Result<Response<v1::GetTransferResponse>, Status> {
            self.unary("get", self.0.script.get.as_ref(), request)
        }

        async fn list_transfers(
            &self,
            request: Request<v1::ListTransfersRequest>,
        ) -> Result<Response<v1::ListTransfersResponse>, Status> {
            self.unary("list", self.0.script.list.as_ref(), request)
        }

        async fn list_recent_transfers(
            &self,
            request: Request<v1::ListRecentTransfersRequest>,
        ) -> Result<Response<v1::ListRecentTransfersResponse>, Status> {
            self.unary("recent", self.0.script.recent.as_ref(), request)
        }

        async fn complete_transfer(
            &self,
            request: Request<v1::CompleteTransferRequest>,
        ) -> Result<Response<v1::CompleteTransferResponse>, Status> {
            self.unary("complete", self.0.script.complete.as_ref(), request)
        }

        async fn fail_transfer(
            &self,
            request: Request<v1::FailTransferRequest>,
        ) -> Result<Response<v1::FailTransferResponse>, Status> {
            self.unary("fail", self.0.script.fail.as_ref(), request)
        }

        async fn claim_transfers(
            &self,
            request: Request<v1::ClaimTransfersRequest>,
        ) -> Result<Response<v1::ClaimTransfersResponse>, Status> {
            self.unary("claim", self.0.script.claim.as_ref(), request)
        }

        async fn register_agent(
            &self,
            request: Request<v1::RegisterAgentRequest>,
        ) -> Result<Response<v1::RegisterAgentResponse>, Status> {
            self.unary("register", self.0.script.register.as_ref(), request)
        }

        async fn export_transfers(
            &self,
            request: Request<v1::ExportTransfersRequest>,
        ) -> Result<Response<Self::ExportTransfersStream>, Status> {
            self.stream("export", self.0.script.export.as_ref(), request)
        }

        async fn watch_transfer(
            &self,
            request: Request<v1::WatchTransferRequest>,
        ) -> Result<Response<Self::WatchTransferStream>, Status> {
            self.stream("watch", self.0.script.watch.as_ref(), request)
        }

        async fn watch_transfers(
            &self,
            request: Request<v1::WatchTransfersRequest>,
        ) -> Result<Response<Self::WatchTransfersStream>, Status> {
            self.stream("watch_many", self.0.script.watch_many.as_ref(), request)
        }

        async fn report_progress(
            &self,
            request: Request<Streaming<v1::ReportProgressRequest>>,
        ) -> Result<Response<Self::ReportProgressStream>, Status> {
            let stream = self.0.number("report");
            let (sender, answers) = mpsc::channel(16);
            self.0.heard().reporter = Some(sender.clone());
            let reading = read(Arc::clone(&self.0), stream, request.into_inner(), sender);
            tokio::spawn(reading);
            Ok(Response::new(ReceiverStream::new(answers).boxed()))
        }
    }
    count_transfers(CountTransfersRequest) -> CountTransfersResponse,
    delete_transfer(DeleteTransferRequest) -> DeleteTransferResponse,
    explain_transfer(ExplainTransferRequest) -> ExplainTransferResponse,
    list_attempts(ListAttemptsRequest) -> ListAttemptsResponse,
    start_transfer(StartTransferRequest) -> StartTransferResponse,
    get_agent(GetAgentRequest) -> GetAgentResponse,
    list_agents(ListAgentsRequest) -> ListAgentsResponse,
    update_progress(UpdateProgressRequest) -> UpdateProgressResponse,
    submit_receipt(SubmitReceiptRequest) -> SubmitReceiptResponse,
    retry_transfer(RetryTransferRequest) -> RetryTransferResponse,
    cancel_transfer(CancelTransferRequest) -> CancelTransferResponse,
    pause_transfer(PauseTransferRequest) -> PauseTransferResponse,
    resume_transfer(ResumeTransferRequest) -> ResumeTransferResponse,
    acknowledge_stop(AcknowledgeStopRequest) -> AcknowledgeStopResponse,
    request_approval(RequestApprovalRequest) -> RequestApprovalResponse,
    approve_transfer(ApproveTransferRequest) -> ApproveTransferResponse,
    deny_transfer(DenyTransferRequest) -> DenyTransferResponse,
    expire_pending_approvals(ExpirePendingApprovalsRequest) -> ExpirePendingApprovalsResponse,
    list_pending_approvals(ListPendingApprovalsRequest) -> ListPendingApprovalsResponse,
    get_connection_stats(GetConnectionStatsRequest) -> GetConnectionStatsResponse,
    list_table_stats(ListTableStatsRequest) -> ListTableStatsResponse,
    list_active_transfers(ListActiveTransfersRequest) -> ListActiveTransfersResponse,
}
