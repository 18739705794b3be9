//! Receipts in the chain.

use uuid::Uuid;

use super::Encoder;
use crate::receipt::{Digest, NewReceipt, Quarantined, Receipt, Statement};

impl Encoder {
    pub(super) fn receipt(&mut self, receipt: &Receipt) {
        let Receipt {
            number,
            lease_epoch,
            submitted_at,
            submitted_by_uuid,
            said,
        } = receipt;
        let NewReceipt {
            own,
            peer,
            consistency,
            verification_level,
            verification,
            quarantined,
        } = said;
        self.number(*number);
        self.number(*lease_epoch);
        self.number(submitted_at.as_micros());
        let by = submitted_by_uuid.map(Uuid::from);
        self.optional(by.map(Uuid::into_bytes));
        self.statement(own);
        self.number(peer.is_some().into());
        if let Some(peer) = peer {
            self.statement(peer);
        }
        self.value(consistency);
        self.value(verification_level);
        self.value(verification.name());
        self.value((quarantined.len() as u64).to_be_bytes());
        for Quarantined { code, count } in quarantined {
            self.value(code.name());
            self.number(*count);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let Statement {
            records_transferred,
            records_created,
            records_updated,
            records_skipped,
            records_failed,
            bytes_transferred,
            digest,
            schema_digest,
        } = statement;
        self.number(*records_transferred);
        for count in [
            records_created,
            records_updated,
            records_skipped,
            records_failed,
            bytes_transferred,
        ] {
            self.optional(count.map(i64::to_be_bytes));
        }
        self.number(digest.is_some().into());
        if let Some(Digest { algorithm, value }) = digest {
            self.value(algorithm);
            self.value(value);
        }
        self.value(schema_digest);
    }
}
