//! What is asked of bulk operations.

use tidegate_proto::v1;

use super::{super::caller::Caller, Mutation, duration, transfer_filter, value};
use tidegate_domain::{
    bulk::{BulkVerb, NewBulkOperation},
    command::BulkCommand,
    stop::GRACE,
    validate::{Check, REASON_MAX},
};

impl Mutation for v1::StartBulkOperationRequest {
    type Command = BulkCommand;
    type Made = ();
    const METHOD: &'static str = "StartBulkOperation";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    /// How many transfers match is not known yet.
    fn command(self, check: &mut Check, caller: &Caller, (): ()) -> BulkCommand {
        let verb = value(check, "verb", self.verb);
        if self.verb == 0 {
            check.add("verb", "is required");
        }
        let filter = transfer_filter(check, caller.who.scope(), self.filter);
        match (filter.is_restricted(), self.all) {
            (false, false) => check.add(
                "filter",
                "has no condition: set all if every transfer is meant",
            ),
            (true, true) => check.add(
                "all",
                "must not be set beside a filter that has a condition",
            ),
            _ => {}
        }
        let verb = verb.unwrap_or(BulkVerb::Cancel);
        if verb != BulkVerb::Cancel {
            for (field, is_set) in [
                ("reason", !self.reason.is_empty()),
                ("grace", self.grace.is_some()),
            ] {
                if is_set {
                    check.add(field, "is for CANCEL alone");
                }
            }
        }
        let new = NewBulkOperation {
            verb,
            filter,
            reason: check.remark("reason", &self.reason, REASON_MAX),
            grace: self.grace.map(|it| duration(check, "grace", it, GRACE)),
        };
        BulkCommand::Start {
            new: Box::new(new),
            matched: 0,
        }
    }
}

impl Mutation for v1::StopBulkOperationRequest {
    type Command = BulkCommand;
    type Made = ();
    const METHOD: &'static str = "StopBulkOperation";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, _: &Caller, (): ()) -> BulkCommand {
        let uuid = check.uuid("uuid", &self.uuid);
        BulkCommand::Stop { uuid }
    }
}
