//! Receipts, and what they say together.

use tidegate_proto::v1;

use super::{optional_uuid, text, time};
use crate::{
    Error, FailureCode, QuarantinedRecords, Receipt, ReceiptStatement, Reconciliation,
    ReconciliationState, VerificationResult, model::Wire as _,
};

pub(super) fn reconciliation(wire: v1::Reconciliation) -> Result<Reconciliation, Error> {
    Ok(Reconciliation {
        state: ReconciliationState::from_wire_if_set(wire.state)
            .unwrap_or(ReconciliationState::Pending),
        diverged_fields: wire.diverged_fields,
        receipt: wire
            .receipt
            .map(|it| receipt(it).map(Box::new))
            .transpose()?,
    })
}

pub(super) fn receipt(wire: v1::Receipt) -> Result<Receipt, Error> {
    let quarantined = wire.quarantined.into_iter();
    let quarantined = quarantined.map(|it| QuarantinedRecords {
        code: FailureCode::from_wire(it.code),
        count: it.count,
    });
    Ok(Receipt {
        number: wire.number,
        lease_epoch: wire.lease_epoch,
        submitted_at: time("receipt.submitted_at", wire.submitted_at)?,
        submitted_by_uuid: optional_uuid("receipt.submitted_by_uuid", &wire.submitted_by_uuid)?,
        own: wire.own.map(statement).unwrap_or_default(),
        peer: wire.peer.map(statement),
        consistency: text(wire.consistency),
        verification_level: text(wire.verification_level),
        verification: VerificationResult::from_wire(wire.verification),
        quarantined: quarantined.collect(),
    })
}

fn statement(wire: v1::ReceiptStatement) -> ReceiptStatement {
    ReceiptStatement {
        records_transferred: wire.records_transferred.unwrap_or_default(),
        records_created: wire.records_created,
        records_updated: wire.records_updated,
        records_skipped: wire.records_skipped,
        records_failed: wire.records_failed,
        bytes_transferred: wire.bytes_transferred,
        digest: wire.digest,
        digest_algorithm: wire.digest_algorithm,
        schema_digest: wire.schema_digest,
    }
}

pub(crate) fn to_statement(statement: ReceiptStatement) -> v1::ReceiptStatement {
    v1::ReceiptStatement {
        records_transferred: Some(statement.records_transferred),
        records_created: statement.records_created,
        records_updated: statement.records_updated,
        records_skipped: statement.records_skipped,
        records_failed: statement.records_failed,
        bytes_transferred: statement.bytes_transferred,
        digest: statement.digest,
        digest_algorithm: statement.digest_algorithm,
        schema_digest: statement.schema_digest,
    }
}
