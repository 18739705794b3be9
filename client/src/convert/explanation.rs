//! Why a transfer stands where it does.

use tidegate_proto::v1;

use super::{
    transfer,
    value::{optional_time, optional_uuid, text, time, uuid},
};
use crate::{
    DecisionRule, Error, Explanation, Obstacle, Role, TransferStatus, Upcoming, UpcomingAction,
    model::Wire as _,
};

pub(crate) fn explanation(wire: v1::ExplainTransferResponse) -> Result<Explanation, Error> {
    Ok(Explanation {
        transfer: transfer(wire.transfer)?,
        startable: wire.startable,
        obstacles: wire
            .obstacles
            .into_iter()
            .map(obstacle)
            .collect::<Result<_, _>>()?,
        decision: wire.decision.map(decision).transpose()?,
        upcoming: wire
            .upcoming
            .into_iter()
            .map(upcoming)
            .collect::<Result<_, _>>()?,
    })
}

fn obstacle(wire: v1::Obstacle) -> Result<Obstacle, Error> {
    Ok(Obstacle {
        reason: wire.reason,
        message: wire.message,
        remedy: wire.remedy,
        rule: text(wire.rule),
        ends_at: optional_time("obstacle.ends_at", wire.ends_at)?,
    })
}

fn decision(wire: v1::DecisionRule) -> Result<DecisionRule, Error> {
    let excluded = wire.excluded_uuids.iter();
    Ok(DecisionRule {
        roles: wire.roles.into_iter().map(Role::from_wire).collect(),
        excluded_uuids: excluded
            .map(|it| uuid("decision.excluded_uuids", it))
            .collect::<Result<_, _>>()?,
        excluded_connection_uuid: optional_uuid(
            "decision.excluded_connection_uuid",
            &wire.excluded_connection_uuid,
        )?,
        expires_at: optional_time("decision.expires_at", wire.expires_at)?,
        caller_may_approve: wire.caller_may_approve,
        caller_reason: text(wire.caller_reason),
        caller_message: text(wire.caller_message),
    })
}

fn upcoming(wire: v1::Upcoming) -> Result<Upcoming, Error> {
    Ok(Upcoming {
        action: UpcomingAction::from_wire(wire.action),
        at: time("upcoming.at", wire.at)?,
        status: TransferStatus::from_wire(wire.status),
    })
}
