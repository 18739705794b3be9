//! What an agent asks to have started.

use tidegate_proto::v1;

use super::{super::caller::Caller, Mutation, duration, value};
use tidegate_domain::{
    claim::{Claim, ClaimFilter, TABLES_MAX, WAIT},
    validate::{Check, HEARTBEAT_TIMEOUT, NAME_MAX},
};

impl Mutation for v1::ClaimTransfersRequest {
    type Command = Claim;
    type Made = ();
    const METHOD: &'static str = "ClaimTransfers";

    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn command(self, check: &mut Check, caller: &Caller, (): ()) -> Claim {
        if let Some(wait) = self.wait {
            duration(check, "wait", wait, WAIT);
        }
        Claim {
            filter: ClaimFilter {
                connection_uuid: check
                    .optional_uuid("connection_uuid", &self.connection_uuid)
                    .or(caller.who.own_connection()),
                direction: value(check, "direction", self.direction),
                table_names: claimed_tables(check, self.table_names),
            },
            max: check.claim_size("max", self.max),
            heartbeat_timeout: self
                .heartbeat_timeout
                .map(|timeout| duration(check, "heartbeat_timeout", timeout, HEARTBEAT_TIMEOUT)),
            agent_instance: check.name("agent_instance", &self.agent_instance, NAME_MAX),
            candidates: Vec::new(),
        }
    }
}

/// The tables that a claim names.
fn claimed_tables(check: &mut Check, names: Vec<String>) -> Vec<String> {
    if names.len() > TABLES_MAX {
        let description = format!("must name at most {TABLES_MAX} tables");
        check.add("table_names", description);
        return Vec::new();
    }
    for (place, name) in names.iter().enumerate() {
        let field = format!("table_names[{place}]");
        check.required(&field, name);
        check.table(&field, name);
    }
    names
}
