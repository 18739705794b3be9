//! The calls that change nothing: fields checked, the store asked, rows converted.

use std::{borrow::Borrow, collections::HashMap};

use tidegate_proto::v1;

use super::super::{Backend, decode, encode, page};
use crate::{error::Error, traces};
use tidegate_domain::{
    caller::{Caller, ConnectionScope},
    connection::Connection,
    id::ConnectionId,
    page::{Position, Scope},
    query::{ApprovalFilter, SortOrder, StatsFilter, TransferFilter, Window},
    refusal::Refusal,
    status::TransferStatus,
    time::Timestamp,
    transfer::Transfer,
    validate::{Check, NAME_MAX, PAGE_MAX},
};
use tidegate_store::ScopedReader;

impl Backend {
    pub(super) async fn get_transfer(
        &self,
        caller: &Caller,
        request: v1::GetTransferRequest,
    ) -> Result<v1::GetTransferResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let preload = decode::preload(&mut check, &request.preload);
        let uuid = check.finish(uuid)?;
        traces::about(uuid);
        let reader = self.readers.as_seen_by(caller);
        let found = reader.transfer(uuid).await?;
        let transfers = [found.ok_or(Refusal::TransferNotFound { uuid })?];
        let connections = preloaded(&reader, &transfers, preload).await?;
        let transfer = transfers
            .first()
            .map(|transfer| with(&connections, transfer, self.time.roughly_now()));
        Ok(v1::GetTransferResponse { transfer })
    }

    pub(super) async fn list_attempts(
        &self,
        caller: &Caller,
        request: v1::ListAttemptsRequest,
    ) -> Result<v1::ListAttemptsResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let before = check.count("before_epoch", request.before_epoch);
        let uuid = check.finish(uuid)?;
        traces::about(uuid);
        let before = (before != 0).then_some(before);
        let reader = self.readers.as_seen_by(caller);
        let found = reader.attempts(uuid, before).await?;
        let (attempts, more) = found.ok_or(Refusal::TransferNotFound { uuid })?;
        Ok(v1::ListAttemptsResponse {
            attempts: attempts.iter().map(encode::attempt).collect(),
            more,
        })
    }

    pub(super) async fn list_transfers(
        &self,
        caller: &Caller,
        request: v1::ListTransfersRequest,
    ) -> Result<v1::ListTransfersResponse, Error> {
        let reader = self.readers.as_seen_by(caller);
        let mut check = Check::default();
        let filter = decode::transfer_filter(&mut check, reader.scope(), request.filter);
        let order = decode::sort_order(&mut check, request.order);
        let preload = decode::preload(&mut check, &request.preload);
        let skip = check.skip(request.skip);
        let scope = Scope::new("transfers", name(order), &filter.fingerprint());
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            skip,
        );
        let window = check.finish(window)?;
        let (transfers, next_page_token) = self
            .list(&reader, &filter, order, window, &scope, preload)
            .await?;
        Ok(v1::ListTransfersResponse {
            transfers,
            next_page_token,
        })
    }

    pub(super) async fn count_transfers(
        &self,
        caller: &Caller,
        request: v1::CountTransfersRequest,
    ) -> Result<v1::CountTransfersResponse, Error> {
        let reader = self.readers.as_seen_by(caller);
        let mut check = Check::default();
        let filter = decode::transfer_filter(&mut check, reader.scope(), request.filter);
        let filter = check.finish(filter)?;
        Ok(v1::CountTransfersResponse {
            count: reader.count_transfers(&filter).await?,
        })
    }

    pub(super) async fn list_pending_approvals(
        &self,
        caller: &Caller,
        request: v1::ListPendingApprovalsRequest,
    ) -> Result<v1::ListPendingApprovalsResponse, Error> {
        let reader = self.readers.as_seen_by(caller);
        let mut check = Check::default();
        let table_name = check.line("table_name", &request.table_name, NAME_MAX);
        let filter = ApprovalFilter {
            connections: reader.scope().and(ConnectionScope::from(
                check.optional_uuid("connection_uuid", &request.connection_uuid),
            )),
            table_name: (!table_name.is_empty()).then_some(table_name),
        };
        let preload = decode::preload(&mut check, &request.preload);
        let scope = Scope::new("approvals", "asc", &filter.fingerprint());
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            0,
        );
        let window = check.finish(window)?;
        let now = self.time.now().await?;
        let rows = reader
            .pending_approvals(&filter, now, page::one_more(window))
            .await?;
        let connections = preloaded(&reader, &rows, preload).await?;
        let place = |row: &Transfer| Position {
            micros: row
                .approval_expires_at
                .map_or(i64::MAX, |time| time.as_micros()),
            uuid: row.uuid.into(),
        };
        let (transfers, next_page_token) = page::fit(&rows, window.limit, &scope, place, |row| {
            with(&connections, row, now)
        });
        Ok(v1::ListPendingApprovalsResponse {
            transfers,
            next_page_token,
        })
    }

    pub(super) async fn get_connection_stats(
        &self,
        caller: &Caller,
        request: v1::GetConnectionStatsRequest,
    ) -> Result<v1::GetConnectionStatsResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("connection_uuid", &request.connection_uuid);
        let (from, to) = decode::span(&mut check, request.from, request.to);
        let filter = StatsFilter {
            direction: None,
            connections: ConnectionScope::Only(uuid),
            from,
            to,
        };
        let filter = check.finish(filter)?;
        let reader = self.readers.as_seen_by(caller);
        let stats = reader.connection_stats(&filter).await?;
        Ok(encode::connection_stats(&stats))
    }

    pub(super) async fn list_table_stats(
        &self,
        caller: &Caller,
        request: v1::ListTableStatsRequest,
    ) -> Result<v1::ListTableStatsResponse, Error> {
        let mut check = Check::default();
        let (from, to) = decode::span(&mut check, request.from, request.to);
        let filter = StatsFilter {
            direction: decode::value(&mut check, "direction", request.direction),
            connections: ConnectionScope::from(
                check.optional_uuid("connection_uuid", &request.connection_uuid),
            ),
            from,
            to,
        };
        let filter = check.finish(filter)?;
        let reader = self.readers.as_seen_by(caller);
        let rows = reader.table_stats(&filter, PAGE_MAX + 1).await?;
        let (stats, more) = page::fit_messages(&rows, PAGE_MAX, encode::table_stats);
        Ok(v1::ListTableStatsResponse { stats, more })
    }

    pub(super) async fn list_recent_transfers(
        &self,
        caller: &Caller,
        request: v1::ListRecentTransfersRequest,
    ) -> Result<v1::ListRecentTransfersResponse, Error> {
        let mut check = Check::default();
        let limit = check.page_size("limit", request.limit, 10);
        let preload = decode::preload(&mut check, &request.preload);
        let limit = check.finish(limit)?;
        let window = Window {
            after: None,
            skip: 0,
            limit: limit + 1,
        };
        let reader = self.readers.as_seen_by(caller);
        let filter = TransferFilter::default();
        let rows = reader.transfers(&filter, SortOrder::Descending, window);
        let rows = rows.await?;
        let connections = preloaded(&reader, &rows, preload).await?;
        let now = self.time.roughly_now();
        let (transfers, more) =
            page::fit_messages(&rows, limit, |row| with(&connections, row, now));
        Ok(v1::ListRecentTransfersResponse { transfers, more })
    }

    pub(super) async fn list_active_transfers(
        &self,
        caller: &Caller,
        request: v1::ListActiveTransfersRequest,
    ) -> Result<v1::ListActiveTransfersResponse, Error> {
        let reader = self.readers.as_seen_by(caller);
        let mut check = Check::default();
        let preload = decode::preload(&mut check, &request.preload);
        let filter = TransferFilter {
            status: vec![TransferStatus::InProgress],
            connections: reader.scope(),
            ..TransferFilter::default()
        };
        let scope = Scope::new("active", "desc", &filter.fingerprint());
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            0,
        );
        let window = check.finish(window)?;
        let order = SortOrder::Descending;
        let (transfers, next_page_token) = self
            .list(&reader, &filter, order, window, &scope, preload)
            .await?;
        Ok(v1::ListActiveTransfersResponse {
            transfers,
            next_page_token,
        })
    }

    pub(super) async fn list(
        &self,
        reader: &ScopedReader,
        filter: &TransferFilter,
        order: SortOrder,
        window: Window,
        scope: &Scope,
        preload: bool,
    ) -> Result<(Vec<v1::Transfer>, String), Error> {
        let rows = reader
            .transfers(filter, order, page::one_more(window))
            .await?;
        let connections = preloaded(reader, &rows, preload).await?;
        let place = |row: &Transfer| Position {
            micros: row.inserted_at.as_micros(),
            uuid: row.uuid.into(),
        };
        let now = self.time.roughly_now();
        Ok(page::fit(&rows, window.limit, scope, place, |row| {
            with(&connections, row, now)
        }))
    }
}

async fn preloaded(
    reader: &ScopedReader,
    transfers: &[impl Borrow<Transfer>],
    wanted: bool,
) -> Result<HashMap<ConnectionId, Connection>, Error> {
    if !wanted {
        return Ok(HashMap::new());
    }
    Ok(reader.connections_of(transfers).await?)
}

fn with(
    connections: &HashMap<ConnectionId, Connection>,
    transfer: &Transfer,
    now: Timestamp,
) -> v1::Transfer {
    let connection = transfer
        .declared
        .connection_uuid
        .and_then(|uuid| connections.get(&uuid));
    encode::transfer(transfer, connection, now)
}

const fn name(order: SortOrder) -> &'static str {
    match order {
        SortOrder::Ascending => "asc",
        SortOrder::Descending => "desc",
    }
}
