//! Receipts, and what they say together.

use tidegate_proto::v1;

use super::{optional, timestamp};
use crate::rpc::wire_enum::WireEnum as _;
use tidegate_domain::{
    receipt::{Receipt, Statement},
    transfer::Transfer,
};

pub(super) fn reconciliation(transfer: &Transfer) -> v1::Reconciliation {
    let known = &transfer.reconciliation;
    v1::Reconciliation {
        state: known.state.to_wire(),
        diverged_fields: known.diverged.iter().map(ToString::to_string).collect(),
        receipt: transfer.receipt.as_deref().map(receipt),
    }
}

pub(super) fn receipt(receipt: &Receipt) -> v1::Receipt {
    let said = &receipt.said;
    let quarantined = said.quarantined.iter().map(|it| v1::QuarantinedRecords {
        code: it.code.to_wire(),
        count: it.count,
    });
    v1::Receipt {
        number: receipt.number,
        lease_epoch: receipt.lease_epoch,
        submitted_at: Some(timestamp(receipt.submitted_at)),
        submitted_by_uuid: optional(receipt.submitted_by_uuid),
        own: Some(statement(&said.own)),
        peer: said.peer.as_ref().map(statement),
        consistency: said.consistency.clone(),
        verification_level: said.verification_level.clone(),
        verification: said.verification.to_wire(),
        quarantined: quarantined.collect(),
    }
}

fn statement(statement: &Statement) -> v1::ReceiptStatement {
    let digest = statement.digest.as_ref();
    v1::ReceiptStatement {
        records_transferred: Some(statement.records_transferred),
        records_created: statement.records_created,
        records_updated: statement.records_updated,
        records_skipped: statement.records_skipped,
        records_failed: statement.records_failed,
        bytes_transferred: statement.bytes_transferred,
        digest: digest.map_or_else(Vec::new, |it| it.value.clone()),
        digest_algorithm: digest.map_or_else(String::new, |it| it.algorithm.clone()),
        schema_digest: statement.schema_digest.clone(),
    }
}
