//! `BulkService`.

use tidegate_proto::v1::{self, bulk_service_server::BulkService};
use tonic::{Request, Response, Status};

use super::{Backend, caller::Caller, decode, encode, page, status::status};
use crate::error::Error;
use tidegate_domain::{
    bulk::{BulkOperation, BulkOutcome},
    command::BulkCommand,
    id::BulkOperationId,
    page::{Position, Scope},
    query::{SortOrder, Window},
    refusal::Refusal,
    validate::Check,
};

/// Transfers that a dry run shows.
const SAMPLE: Window = Window {
    after: None,
    skip: 0,
    limit: 10,
};

/// The service.
#[derive(Clone)]
pub(super) struct BulkApi {
    backend: Backend,
}

impl BulkApi {
    pub(super) const fn new(backend: Backend) -> Self {
        Self { backend }
    }

    async fn start(
        &self,
        request: Request<v1::StartBulkOperationRequest>,
    ) -> Result<v1::StartBulkOperationResponse, Error> {
        let reader = self.backend.readers.as_seen_by(&Caller::of(&request).who);
        let is_dry = request.get_ref().dry_run;
        let mut submission = decode::submission(request)?;
        let BulkCommand::Start { new, matched } = &mut submission.command else {
            return Err(Error::internal("a start is decoded as something else"));
        };
        let filter = new.search();
        *matched = reader.count_transfers(&filter).await?;
        if is_dry {
            let now = self.backend.time.now().await?;
            let found = reader.transfers(&filter, SortOrder::Ascending, SAMPLE);
            let found = found.await?;
            return Ok(v1::StartBulkOperationResponse {
                operation: None,
                matched: *matched,
                sample: page::fit_messages(&found, SAMPLE.limit, |it| {
                    encode::transfer(it, None, now)
                })
                .0,
            });
        }
        let operation = self.backend.ledger.submit(submission).await?;
        self.backend.ledger.drive_bulk();
        Ok(v1::StartBulkOperationResponse {
            operation: Some(encode::bulk_operation(&operation)),
            ..v1::StartBulkOperationResponse::default()
        })
    }

    async fn get(
        &self,
        request: v1::GetBulkOperationRequest,
    ) -> Result<v1::GetBulkOperationResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let operation = self.find(check.finish(uuid)?).await?;
        Ok(v1::GetBulkOperationResponse {
            operation: Some(encode::bulk_operation(&operation)),
        })
    }

    async fn list(
        &self,
        request: v1::ListBulkOperationsRequest,
    ) -> Result<v1::ListBulkOperationsResponse, Error> {
        let mut check = Check::default();
        let scope = Scope::new("bulk operations", "desc", "");
        let (size, token) = (request.page_size, &request.page_token);
        let window = page::window(&mut check, &scope, size, token, 0);
        let window = check.finish(window)?;
        let rows = self.backend.readers.bulk_operations(page::one_more(window));
        let rows = rows.await?;
        let place = |row: &BulkOperation| Position {
            micros: row.inserted_at.as_micros(),
            uuid: row.uuid.into(),
        };
        let (operations, next_page_token) =
            page::fit(&rows, window.limit, &scope, place, encode::bulk_operation);
        Ok(v1::ListBulkOperationsResponse {
            operations,
            next_page_token,
        })
    }

    async fn outcomes(
        &self,
        request: v1::ListBulkOutcomesRequest,
    ) -> Result<v1::ListBulkOutcomesResponse, Error> {
        let mut check = Check::default();
        let uuid: BulkOperationId = check.uuid("uuid", &request.uuid);
        let result = decode::value(&mut check, "result", request.result);
        let fingerprint = format!("{uuid};{}", request.result);
        let scope = Scope::new("bulk outcomes", "asc", &fingerprint);
        let (size, token) = (request.page_size, &request.page_token);
        let window = page::window(&mut check, &scope, size, token, 0);
        let window = check.finish(window)?;
        self.find(uuid).await?;
        // Outcomes are in the order of their numbers.
        let after = window.after.map_or(0, |place| place.micros);
        let limit = page::one_more(window).limit;
        let rows = self
            .backend
            .readers
            .bulk_outcomes(uuid, result, after, limit);
        let rows = rows.await?;
        let place = |row: &BulkOutcome| Position {
            micros: row.number,
            uuid: row.operation_uuid.into(),
        };
        let (outcomes, next_page_token) =
            page::fit(&rows, window.limit, &scope, place, encode::bulk_outcome);
        Ok(v1::ListBulkOutcomesResponse {
            outcomes,
            next_page_token,
        })
    }

    async fn stop(
        &self,
        request: Request<v1::StopBulkOperationRequest>,
    ) -> Result<v1::StopBulkOperationResponse, Error> {
        let submission = decode::submission(request)?;
        let operation = self.backend.ledger.submit(submission).await?;
        Ok(v1::StopBulkOperationResponse {
            operation: Some(encode::bulk_operation(&operation)),
        })
    }

    async fn find(&self, uuid: BulkOperationId) -> Result<BulkOperation, Error> {
        let found = self.backend.readers.bulk_operation(uuid).await?;
        Ok(found.ok_or(Refusal::BulkOperationNotFound { uuid })?)
    }
}

#[tonic::async_trait]
impl BulkService for BulkApi {
    async fn start_bulk_operation(
        &self,
        request: Request<v1::StartBulkOperationRequest>,
    ) -> Result<Response<v1::StartBulkOperationResponse>, Status> {
        self.start(request).await.map(Response::new).map_err(status)
    }

    async fn get_bulk_operation(
        &self,
        request: Request<v1::GetBulkOperationRequest>,
    ) -> Result<Response<v1::GetBulkOperationResponse>, Status> {
        self.get(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_bulk_operations(
        &self,
        request: Request<v1::ListBulkOperationsRequest>,
    ) -> Result<Response<v1::ListBulkOperationsResponse>, Status> {
        self.list(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_bulk_outcomes(
        &self,
        request: Request<v1::ListBulkOutcomesRequest>,
    ) -> Result<Response<v1::ListBulkOutcomesResponse>, Status> {
        self.outcomes(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn stop_bulk_operation(
        &self,
        request: Request<v1::StopBulkOperationRequest>,
    ) -> Result<Response<v1::StopBulkOperationResponse>, Status> {
        self.stop(request).await.map(Response::new).map_err(status)
    }
}
