//! `TransferService`: every method converts in, calls, converts out.

use std::pin::Pin;

use futures::Stream;
use tidegate_proto::v1::{self, transfer_service_server::TransferService};
use tonic::{Request, Response, Status, Streaming};

use super::{
    Backend,
    caller::Caller,
    decode::{self, Mutation},
    encode, event, progress,
    status::status,
    streams::{Kind, Streams},
    watch,
};
use crate::{error::Error, traces};
use tidegate_domain::{command::TransferCommand, validate::Check};

mod agent;
mod claim;
mod explain;
mod export;
mod read;

/// The service.
#[derive(Clone)]
pub(super) struct TransferApi {
    backend: Backend,
    streams: Streams,
    export_permits: export::ReadPermits,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl TransferApi {
    pub(super) fn new(backend: Backend, streams: Streams) -> Self {
        Self {
            backend,
            streams,
            export_permits: export::ReadPermits::default(),
        }
    }

    /// Carries out a change and answers with the transfer as it is now.
    async fn change<M>(&self, request: Request<M>) -> Result<Option<v1::Transfer>, Error>
    where
        M: Mutation<Command = TransferCommand, Made = ()>,
    {
        let submission = decode::submission(request)?;
        let transfer = self.backend.ledger.submit(submission).await?;
        let now = self.backend.time.roughly_now();
        Ok(transfer.map(|transfer| encode::transfer(&transfer, None, now)))
    }

    async fn watch_one(
        &self,
        request: Request<v1::WatchTransferRequest>,
    ) -> Result<Answers<v1::WatchTransferResponse>, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.get_ref().uuid);
        let uuid = check.finish(uuid)?;
        traces::about(uuid);
        let permit = self.streams.enter(Kind::Watch, &request)?;
        let caller = Caller::of(&request).who;
        let watch = watch::one(&self.backend, permit, &caller, uuid);
        Ok(Box::pin(watch.await?))
    }

    async fn watch_many(
        &self,
        request: Request<v1::WatchTransfersRequest>,
    ) -> Result<Answers<v1::WatchTransfersResponse>, Error> {
        let permit = self.streams.enter(Kind::Watch, &request);
        let caller = Caller::of(&request).who;
        let reader = self.backend.readers.as_seen_by(&caller);
        let request = request.into_inner();
        let mut check = Check::default();
        let filter = decode::transfer_filter(&mut check, reader.scope(), request.filter);
        if filter.reconciliation.is_some() {
            let text = "cannot be watched: it changes with the other side, of which no event tells";
            check.add("filter.reconciliation", text);
        }
        let after = request.after_sequence;
        let hash = request.after_hash.as_slice();
        let after = after.map(|after| event::cursor(&mut check, after, hash));
        if after.is_none() && !hash.is_empty() {
            check.add("after_hash", "has no meaning without after_sequence");
        }
        let (filter, after) = check.finish((filter, after))?;
        let watch_request = watch::WatchRequest {
            filter,
            start_from: match after {
                Some(after) => watch::StartFrom::After(after),
                None if request.include_existing => watch::StartFrom::Existing,
                None => watch::StartFrom::Live,
            },
            positions: request.positions || after.is_some(),
        };
        let watch = watch::many(&self.backend, reader, permit?, watch_request);
        Ok(Box::pin(watch.await?))
    }

    async fn expire(
        &self,
        request: Request<v1::ExpirePendingApprovalsRequest>,
    ) -> Result<v1::ExpirePendingApprovalsResponse, Error> {
        let caller = decode::expiry(request)?;
        let expired_count = self.backend.sweeper.expire_approvals(&caller).await?;
        Ok(v1::ExpirePendingApprovalsResponse { expired_count })
    }
}

/// Defines the methods that answer with the transfer as it is now, and those that read.
macro_rules! service {
    (
        changes { $($change:ident: $change_request:ident => $change_response:ident,)+ }
        reads { $($read:ident: $read_request:ident => $read_response:ident,)+ }
        $($rest:item)*
    ) => {
        #[tonic::async_trait]
        impl TransferService for TransferApi {
            $(async fn $change(
                &self,
                request: Request<v1::$change_request>,
            ) -> Result<Response<v1::$change_response>, Status> {
                let transfer = self.change(request).await.map_err(status)?;
                Ok(Response::new(v1::$change_response { transfer }))
            })+

            $(async fn $read(
                &self,
                request: Request<v1::$read_request>,
            ) -> Result<Response<v1::$read_response>, Status> {
                let caller = Caller::of(&request).who;
                self.backend.$read(&caller, request.into_inner()).await.map(Response::new).map_err(status)
            })+

            $($rest)*
        }
    };
}

service! {
    changes {
        create_transfer: CreateTransferRequest => CreateTransferResponse,
        start_transfer: StartTransferRequest => StartTransferResponse,
        update_progress: UpdateProgressRequest => UpdateProgressResponse,
        complete_transfer: CompleteTransferRequest => CompleteTransferResponse,
        fail_transfer: FailTransferRequest => FailTransferResponse,
        submit_receipt: SubmitReceiptRequest => SubmitReceiptResponse,
        retry_transfer: RetryTransferRequest => RetryTransferResponse,
        cancel_transfer: CancelTransferRequest => CancelTransferResponse,
        pause_transfer: PauseTransferRequest => PauseTransferResponse,
        resume_transfer: ResumeTransferRequest => ResumeTransferResponse,
        acknowledge_stop: AcknowledgeStopRequest => AcknowledgeStopResponse,
        request_approval: RequestApprovalRequest => RequestApprovalResponse,
        approve_transfer: ApproveTransferRequest => ApproveTransferResponse,
        deny_transfer: DenyTransferRequest => DenyTransferResponse,
    }
    reads {
        explain_transfer: ExplainTransferRequest => ExplainTransferResponse,
        list_attempts: ListAttemptsRequest => ListAttemptsResponse,
        get_transfer: GetTransferRequest => GetTransferResponse,
        list_transfers: ListTransfersRequest => ListTransfersResponse,
        count_transfers: CountTransfersRequest => CountTransfersResponse,
        list_pending_approvals: ListPendingApprovalsRequest => ListPendingApprovalsResponse,
        get_connection_stats: GetConnectionStatsRequest => GetConnectionStatsResponse,
        list_table_stats: ListTableStatsRequest => ListTableStatsResponse,
        list_recent_transfers: ListRecentTransfersRequest => ListRecentTransfersResponse,
        list_active_transfers: ListActiveTransfersRequest => ListActiveTransfersResponse,
        get_agent: GetAgentRequest => GetAgentResponse,
        list_agents: ListAgentsRequest => ListAgentsResponse,
    }

    async fn claim_transfers(
        &self,
        request: Request<v1::ClaimTransfersRequest>,
    ) -> Result<Response<v1::ClaimTransfersResponse>, Status> {
        self.claim(request).await.map(Response::new).map_err(status)
    }

    async fn register_agent(
        &self,
        request: Request<v1::RegisterAgentRequest>,
    ) -> Result<Response<v1::RegisterAgentResponse>, Status> {
        self.register(request).await.map(Response::new).map_err(status)
    }

    async fn delete_transfer(
        &self,
        request: Request<v1::DeleteTransferRequest>,
    ) -> Result<Response<v1::DeleteTransferResponse>, Status> {
        self.change(request).await.map_err(status)?;
        Ok(Response::new(v1::DeleteTransferResponse {}))
    }

    async fn expire_pending_approvals(
        &self,
        request: Request<v1::ExpirePendingApprovalsRequest>,
    ) -> Result<Response<v1::ExpirePendingApprovalsResponse>, Status> {
        self.expire(request).await.map(Response::new).map_err(status)
    }

    type ReportProgressStream = Answers<v1::ReportProgressResponse>;

    async fn report_progress(
        &self,
        request: Request<Streaming<v1::ReportProgressRequest>>,
    ) -> Result<Response<Self::ReportProgressStream>, Status> {
        let permit = self.streams.enter(Kind::Progress, &request).map_err(status)?;
        let caller = Caller::of(&request).who;
        let answers = progress::serve(&self.backend, permit, caller, request.into_inner());
        Ok(Response::new(Box::pin(answers)))
    }

    type ExportTransfersStream = Answers<v1::ExportTransfersResponse>;

    async fn export_transfers(
        &self,
        request: Request<v1::ExportTransfersRequest>,
    ) -> Result<Response<Self::ExportTransfersStream>, Status> {
        let pieces = self.export(request).map_err(status)?;
        Ok(Response::new(Box::pin(pieces)))
    }

    type WatchTransferStream = Answers<v1::WatchTransferResponse>;

    async fn watch_transfer(
        &self,
        request: Request<v1::WatchTransferRequest>,
    ) -> Result<Response<Self::WatchTransferStream>, Status> {
        self.watch_one(request).await.map(Response::new).map_err(status)
    }

    type WatchTransfersStream = Answers<v1::WatchTransfersResponse>;

    async fn watch_transfers(
        &self,
        request: Request<v1::WatchTransfersRequest>,
    ) -> Result<Response<Self::WatchTransfersStream>, Status> {
        let answers = self.watch_many(request).await;
        answers.map(Response::new).map_err(status)
    }
}
