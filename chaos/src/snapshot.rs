//! Reads from a replica what is in the ledger.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use tidegate_proto::v1;
use tonic::{Code, Status};

use super::{
    change,
    checker::{Entry, Row, Snapshot},
};
use tidegate_tests::raw::Raw;

/// Rows that are asked for at once.
const AT_ONCE: usize = 16;

/// The whole log, and the rows of `touched`, or of all transfers, as of one moment.
///
/// # Errors
/// When the replica does not answer.
pub async fn read(raw: &Raw, touched: &BTreeSet<String>, all: bool) -> Result<Snapshot, Status> {
    let mut raw = raw.clone();
    let mut snapshot = Snapshot::default();
    loop {
        let after = snapshot.entries.last().map_or(0, |entry| entry.sequence);
        let newer = entries(&mut raw, after).await?;
        // The sweeper needs no client: if it was at work meanwhile, rows and events may be of different moments.
        if newer.is_empty() && (!snapshot.rows.is_empty() || snapshot.row_count.is_some()) {
            return Ok(snapshot);
        }
        snapshot.entries.extend(newer);
        snapshot.rows.clear();
        if all {
            let seen = snapshot.entries.iter().map(|entry| &entry.transfer);
            let seen = seen.filter(|uuid| !uuid.is_empty());
            let absent = seen.map(|uuid| (uuid.clone(), None));
            snapshot.rows.extend(absent);
            let rows = rows(&mut raw).await?;
            snapshot.row_count = i64::try_from(rows.len()).ok();
            snapshot.rows.extend(rows);
            continue;
        }
        if touched.is_empty() {
            return Ok(snapshot);
        }
        let single: Vec<Result<_, Status>> = stream::iter(touched)
            .map(|uuid| one(raw.clone(), uuid))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for row in single {
            snapshot.rows.extend([row?]);
        }
    }
}

/// The log after a position, page by page.
async fn entries(raw: &mut Raw, after: i64) -> Result<Vec<Entry>, Status> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let request = v1::ListEventsRequest {
            after_sequence: entries.last().map_or(after, |entry| entry.sequence),
            page_size: 1_000,
            ..v1::ListEventsRequest::default()
        };
        let page = raw.events.list_events(request).await?.into_inner().events;
        if page.is_empty() {
            return Ok(entries);
        }
        entries.extend(page.into_iter().map(entry));
    }
}

/// An event in the words of the rules.
pub fn entry(event: v1::Event) -> Entry {
    Entry {
        sequence: event.sequence,
        transfer: event.transfer_uuid,
        event_type: change::event_type(event.r#type),
        from: change::status(event.from_status),
        to: change::status(event.to_status),
        request_id: event.request_id,
        revision: event.revision,
    }
}

/// Every row, page by page.
async fn rows(raw: &mut Raw) -> Result<Vec<(String, Option<Row>)>, Status> {
    let mut rows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListTransfersRequest {
            page_size: 1_000,
            page_token,
            ..v1::ListTransfersRequest::default()
        };
        let page = raw.transfers.list_transfers(request).await?.into_inner();
        rows.extend(
            page.transfers
                .into_iter()
                .map(|transfer| (transfer.uuid.clone(), Some(row(&transfer)))),
        );
        if page.next_page_token.is_empty() {
            return Ok(rows);
        }
        page_token = page.next_page_token;
    }
}

async fn one(mut raw: Raw, uuid: &str) -> Result<(String, Option<Row>), Status> {
    let request = v1::GetTransferRequest {
        uuid: uuid.to_owned(),
        preload: Vec::new(),
    };
    match raw.transfers.get_transfer(request).await {
        Ok(answer) => {
            let transfer = answer.into_inner().transfer;
            Ok((uuid.to_owned(), transfer.as_ref().map(row)))
        }
        Err(status) if status.code() == Code::NotFound => Ok((uuid.to_owned(), None)),
        Err(status) => Err(status),
    }
}

/// A transfer in the words of the rules.
///
/// # Panics
/// When it has no status.
pub fn row(transfer: &v1::Transfer) -> Row {
    Row {
        status: change::status(transfer.status).expect("every transfer has a status"),
        revision: transfer.revision,
        totals: change::totals(transfer),
    }
}
