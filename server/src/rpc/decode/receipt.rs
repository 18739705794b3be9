//! Receipts.

use tidegate_proto::v1;

use super::{Mutation, failure_code, lease_epoch, value};
use crate::rpc::caller::Caller;
use tidegate_domain::{
    command::{TransferCommand, Verb},
    outcome::{FailureCode, PROBLEMS_MAX},
    receipt::{
        DIGEST_MAX, Digest, METHOD_MAX, NewReceipt, Quarantined, Statement, VerificationResult,
    },
    validate::{Check, NAME_MAX},
};

impl Mutation for v1::SubmitReceiptRequest {
    type Command = TransferCommand;
    type Made = ();
    const METHOD: &'static str = "SubmitReceipt";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> TransferCommand {
        let uuid = check.uuid("uuid", &self.uuid);
        if self.own.is_none() {
            check.add("own", "is required");
        }
        let own = self
            .own
            .map(|own| check.within("own.", |check| statement(check, own)));
        let peer = self
            .peer
            .map(|peer| check.within("peer.", |check| statement(check, peer)));
        let level = &self.verification_level;
        let receipt = NewReceipt {
            own: own.unwrap_or_default(),
            peer,
            consistency: check.line("consistency", &self.consistency, NAME_MAX),
            verification_level: check.line("verification_level", level, METHOD_MAX),
            verification: value(check, "verification", self.verification)
                .unwrap_or(VerificationResult::NotDone),
            quarantined: quarantined(check, &self.quarantined),
        };
        let verb = Verb::SubmitReceipt {
            lease_epoch: lease_epoch(check, self.lease_epoch),
            receipt: Box::new(receipt),
            by: None,
        };
        TransferCommand::Change { uuid, verb }
    }
}

fn statement(check: &mut Check, wire: v1::ReceiptStatement) -> Statement {
    if wire.records_transferred.is_none() {
        check.add("records_transferred", "is required");
    }
    let mut count = |field, count: Option<i64>| count.map(|count| check.count(field, count));
    let records_transferred = count("records_transferred", wire.records_transferred);
    let statement = Statement {
        records_transferred: records_transferred.unwrap_or_default(),
        records_created: count("records_created", wire.records_created),
        records_updated: count("records_updated", wire.records_updated),
        records_skipped: count("records_skipped", wire.records_skipped),
        records_failed: count("records_failed", wire.records_failed),
        bytes_transferred: count("bytes_transferred", wire.bytes_transferred),
        digest: None,
        schema_digest: bytes(check, "schema_digest", wire.schema_digest),
    };
    Statement {
        digest: digest(check, wire.digest, &wire.digest_algorithm),
        ..statement
    }
}

fn digest(check: &mut Check, digest: Vec<u8>, algorithm: &str) -> Option<Digest> {
    match (digest.is_empty(), algorithm.is_empty()) {
        (true, true) => return None,
        (true, false) => check.add("digest", "is required with digest_algorithm"),
        (false, true) => check.add("digest_algorithm", "is required with digest"),
        (false, false) => {}
    }
    Some(Digest {
        algorithm: check.name("digest_algorithm", algorithm, METHOD_MAX),
        value: bytes(check, "digest", digest),
    })
}

fn bytes(check: &mut Check, field: &str, bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > DIGEST_MAX {
        check.add(field, format!("must be at most {DIGEST_MAX} bytes long"));
    }
    bytes
}

fn quarantined(check: &mut Check, wire: &[v1::QuarantinedRecords]) -> Vec<Quarantined> {
    if wire.len() > PROBLEMS_MAX {
        check.add("quarantined", format!("must be at most {PROBLEMS_MAX}"));
        return Vec::new();
    }
    let mut all: Vec<Quarantined> = Vec::with_capacity(wire.len());
    for (place, each) in wire.iter().enumerate() {
        check.within(&format!("quarantined[{place}]."), |check| {
            let code = failure_code(check, "code", each.code);
            if code.is_none() && each.code == 0 {
                check.add("code", "is required");
            }
            if all.iter().any(|it| Some(it.code) == code) {
                check.add("code", "is there already");
            }
            if each.count < 1 {
                check.add("count", "must be at least 1");
            }
            all.push(Quarantined {
                code: code.unwrap_or(FailureCode::Internal),
                count: each.count,
            });
        });
    }
    all
}
