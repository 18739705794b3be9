//! Why a transfer stands where it does, field by field.

use std::time::Duration;

use tidegate_proto::v1::{
    self, Role, StopKind, TransferStatus, UpcomingAction,
    transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    World, WorldOptions, assert_refused,
    raw::{Raw, done, plain, told, wire_duration, wire_time},
    request,
};
use tonic::Code;

use crate::{
    auth::{actors, waiting},
    bad_input::bad_fields,
};

const MINUTE: Duration = Duration::from_secs(60);

fn of(uuid: &str) -> v1::ExplainTransferRequest {
    v1::ExplainTransferRequest {
        uuid: uuid.to_owned(),
        address: String::new(),
    }
}

async fn explained(raw: &mut Raw, uuid: &str) -> v1::ExplainTransferResponse {
    told(raw.transfers.explain_transfer(of(uuid))).await
}

async fn site(world: &World, raw: &mut Raw, policy: v1::ConnectionPolicy) -> String {
    let request = v1::CreateConnectionRequest {
        name: "north".to_owned(),
        direction: v1::ConnectionDirection::Sender.into(),
        site_url: world.address.clone(),
        policy: Some(policy),
        ..v1::CreateConnectionRequest::default()
    };
    let answer = told(raw.connections.create_connection(request)).await;
    answer.connection.expect("the connection").uuid
}

fn reasons(said: &v1::ExplainTransferResponse) -> Vec<(&str, &str)> {
    let each = said.obstacles.iter();
    each.map(|it| (it.reason.as_str(), it.rule.as_str()))
        .collect()
}

#[tokio::test]
async fn all_that_keeps_it_from_being_started_is_told() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let policy = v1::ConnectionPolicy {
        ip_allowlist: vec!["192.0.2.0/24".to_owned()],
        ..v1::ConnectionPolicy::default()
    };
    let open = site(&world, &mut raw, v1::ConnectionPolicy::default()).await;
    let now = world.clock.now();
    let created = v1::CreateTransferRequest {
        connection_uuid: open.clone(),
        requires_approval: true,
        not_before: Some(wire_time(now.after(5 * MINUTE))),
        ..plain()
    };
    let created = raw.create(created).await;
    let close = v1::UpdateConnectionRequest {
        connection: Some(v1::Connection {
            uuid: open.clone(),
            policy: Some(policy),
            ..v1::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["policy.ip_allowlist".to_owned()],
        }),
        ..v1::UpdateConnectionRequest::default()
    };
    told(raw.connections.update_connection(close)).await;

    let said = explained(&mut raw, &created.uuid).await;
    assert_eq!(said.transfer, Some(created.clone()));
    assert!(!said.startable);
    assert_eq!(
        reasons(&said),
        [
            ("TOO_EARLY", "not_before"),
            ("APPROVAL_REQUIRED", "requires_approval"),
            ("IP_NOT_ALLOWED", "policy.ip_allowlist"),
        ]
    );
    assert_eq!(said.obstacles[0].ends_at, created.not_before);
    let status = raw
        .transfers
        .start_transfer(request::starting(&created.uuid))
        .await
        .expect_err("it is early");
    assert_eq!(status.message(), said.obstacles[0].message);
    assert!(said.obstacles.iter().all(|it| !it.remedy.is_empty()));

    let elsewhere = v1::ExplainTransferRequest {
        address: "192.0.2.7".to_owned(),
        ..of(&created.uuid)
    };
    let elsewhere = told(raw.transfers.explain_transfer(elsewhere)).await;
    assert_eq!(reasons(&elsewhere), reasons(&said)[..2]);

    let decision = said.decision.expect("it needs an approval");
    assert_eq!(
        decision,
        v1::DecisionRule {
            excluded_connection_uuid: open,
            caller_may_approve: true,
            ..v1::DecisionRule::default()
        }
    );
    assert_eq!(said.upcoming, []);
}

#[tokio::test]
async fn what_comes_by_itself_is_told() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let now = world.clock.now();
    let after = |minutes: u32| Some(wire_time(now.after(minutes * MINUTE)));
    let request = v1::CreateTransferRequest {
        finish_by: after(9),
        max_attempts: 2,
        ..plain()
    };
    let created = raw.create(request).await;
    let coming = |action: UpcomingAction, minutes, status: TransferStatus| v1::Upcoming {
        action: action.into(),
        at: after(minutes),
        status: status.into(),
    };
    let said = explained(&mut raw, &created.uuid).await;
    assert!(said.startable && said.obstacles.is_empty() && said.decision.is_none());
    let expires = coming(UpcomingAction::Expire, 9, TransferStatus::Expired);
    assert_eq!(said.upcoming, [expires]);

    let start = v1::StartTransferRequest {
        heartbeat_timeout: Some(wire_duration(MINUTE)),
        ..request::starting(&created.uuid)
    };
    done(raw.transfers.start_transfer(start)).await;
    let said = explained(&mut raw, &created.uuid).await;
    assert_eq!(reasons(&said), [("ILLEGAL_TRANSITION", "status")]);
    let status = TransferStatus::InProgress;
    assert_eq!(
        said.upcoming,
        [
            coming(UpcomingAction::EndLease, 1, TransferStatus::Pending),
            coming(UpcomingAction::RequestStop, 9, status),
        ]
    );

    let cancel = v1::CancelTransferRequest {
        grace: Some(wire_duration(MINUTE / 2)),
        ..request::cancellation(&created.uuid)
    };
    let asked = done(raw.transfers.cancel_transfer(cancel)).await;
    let stop = asked.stop.expect("it was asked to stop");
    assert_eq!(stop.kind(), StopKind::Cancel);
    let said = explained(&mut raw, &created.uuid).await;
    let forced = v1::Upcoming {
        action: UpcomingAction::ForceStop.into(),
        at: stop.expires_at,
        status: TransferStatus::Cancelled.into(),
    };
    assert_eq!(said.upcoming, [forced]);
}

#[tokio::test]
async fn who_may_decide_is_told_to_each_as_they_are() {
    let (world, actors) = actors().await;
    let mut transfers = TransferServiceClient::new(world.channel().await);
    let uuid = waiting(&mut transfers, &actors).await;
    for (member, reason) in [
        (&actors.approver, ""),
        (&actors.viewer, "PERMISSION_DENIED"),
        (&actors.agent, "PERMISSION_DENIED"),
    ] {
        let asked = transfers.explain_transfer(member.asks(of(&uuid)));
        let said = told(asked).await;
        let decision = said.decision.expect("it waits for one");
        assert_eq!(decision.caller_reason, reason);
        assert_eq!(decision.caller_may_approve, reason.is_empty());
        assert_eq!(decision.roles, [Role::Approver, Role::Admin].map(i32::from));
        assert_eq!(decision.excluded_uuids, [actors.agent.uuid.as_str()]);
        assert_eq!(decision.excluded_connection_uuid, actors.own);
        let transfer = said.transfer.expect("the transfer");
        assert_eq!(decision.expires_at, transfer.approval_expires_at);
        assert_eq!(said.upcoming[0].at, transfer.approval_expires_at);
    }
}

#[tokio::test]
async fn what_is_not_there_or_no_address_is_refused() {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let unknown = of("0198c0de-0000-7000-8000-000000000000");
    let status = raw.transfers.explain_transfer(unknown.clone()).await;
    let status = status.expect_err("there is none");
    assert_refused(&status, Code::NotFound, "TRANSFER_NOT_FOUND");
    let bad = v1::ExplainTransferRequest {
        uuid: "7".to_owned(),
        address: "north.example".to_owned(),
    };
    let fields = bad_fields(raw.transfers.explain_transfer(bad)).await;
    assert_eq!(fields, ["uuid", "address"]);
}
