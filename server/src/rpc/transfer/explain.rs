//! Why a transfer stands where it does.

use tidegate_proto::v1;

use super::super::{
    Backend,
    auth::access::{APPROVE, access},
    encode,
    wire_enum::WireEnum as _,
};
use crate::error::Error;
use tidegate_domain::{
    caller::{Caller, Role},
    explain::{DecisionRule, Obstacle, Upcoming, explain},
    refusal::Refusal,
    validate::Check,
};

impl Backend {
    pub(super) async fn explain_transfer(
        &self,
        caller: &Caller,
        request: v1::ExplainTransferRequest,
    ) -> Result<v1::ExplainTransferResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let address = check.ip("address", &request.address);
        let uuid = check.finish(uuid)?;
        let reader = self.readers.as_seen_by(caller);
        let transfer = reader.transfer(uuid).await?;
        let transfer = transfer.ok_or(Refusal::TransferNotFound { uuid })?;
        let connections = reader.connections_of(std::slice::from_ref(&transfer));
        let connections = connections.await?;
        let mut starter = caller.clone();
        starter.address = address.parse().ok().or(caller.address);
        let mut connection = connections.into_values().next();
        if let Some(connection) = connection.as_mut().filter(|it| it.policy().limits_runs()) {
            // Which agent would start it is not known.
            let running = reader.running(connection.uuid).await?;
            connection.running.all = running.iter().map(|(_, count)| count).sum();
        }
        let now = self.time.now().await?;
        let said = explain(&transfer, connection.as_ref(), &starter, now);
        Ok(v1::ExplainTransferResponse {
            transfer: Some(encode::transfer(&transfer, None, now)),
            startable: said.obstacles.is_empty(),
            obstacles: said.obstacles.iter().map(obstacle).collect(),
            decision: said.decision.as_ref().map(|rule| decision(rule, caller)),
            upcoming: said.upcoming.iter().map(upcoming).collect(),
        })
    }
}

fn obstacle(obstacle: &Obstacle) -> v1::Obstacle {
    v1::Obstacle {
        reason: obstacle.refusal.reason().to_owned(),
        message: obstacle.refusal.to_string(),
        remedy: obstacle.remedy.to_owned(),
        rule: obstacle.rule.to_owned(),
        ends_at: obstacle.ends_at.map(encode::timestamp),
    }
}

fn decision(rule: &DecisionRule, caller: &Caller) -> v1::DecisionRule {
    let approve = access(APPROVE);
    let role = caller.identity.as_ref().map(|identity| identity.role);
    let by_role =
        role.filter(|role| !approve.allows(*role))
            .map(|role| Refusal::PermissionDenied {
                role: role.name(),
                method: "ApproveTransfer".to_owned(),
            });
    let refusal = by_role.as_ref().or(rule.refusal.as_ref());
    let allowed = Role::ALL.iter().filter(|it| approve.allows(**it));
    v1::DecisionRule {
        // Where callers have no roles, none is asked for.
        roles: allowed
            .filter(|_| role.is_some())
            .map(|role| role.to_wire())
            .collect(),
        excluded_uuids: rule.excluded.iter().map(ToString::to_string).collect(),
        excluded_connection_uuid: encode::optional(rule.excluded_connection),
        expires_at: rule.expires_at.map(encode::timestamp),
        caller_may_approve: refusal.is_none(),
        caller_reason: refusal.map_or("", Refusal::reason).to_owned(),
        caller_message: refusal.map(ToString::to_string).unwrap_or_default(),
    }
}

fn upcoming(upcoming: &Upcoming) -> v1::Upcoming {
    v1::Upcoming {
        action: upcoming.action.to_wire(),
        at: Some(encode::timestamp(upcoming.at)),
        status: upcoming.status.to_wire(),
    }
}
