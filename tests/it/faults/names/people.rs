//! Who declared and who approves.

use tidegate_proto::v1::{
    self, ConnectionPolicy, Role, connection_service_client::ConnectionServiceClient,
    credential_service_client::CredentialServiceClient,
    transfer_service_client::TransferServiceClient,
};
use tidegate_tests::{
    World, WorldOptions,
    actors::{Member, bearing, issue},
    assert_refused,
    raw::{ADMIN, NOBODY, done, told},
    request,
    site::{of, proposal},
};
use tonic::{Code, transport::Channel};

/// A credential that acts for others.
async fn portal(channel: &Channel, admin: &str) -> Member {
    let request = v1::CreateCredentialRequest {
        name: "portal".to_owned(),
        role: Role::Admin.into(),
        acts_for_others: true,
        ..v1::CreateCredentialRequest::default()
    };
    let mut credentials = CredentialServiceClient::new(channel.clone());
    let made = told(credentials.create_credential(bearing(admin, request))).await;
    Member {
        uuid: made.credential.expect("it is told").uuid,
        token: made.token,
    }
}

/// A transfer that the portal declared for [`ADMIN`], and that waits for a decision.
async fn declared_for_another(
    world: &World,
    policy: ConnectionPolicy,
) -> (Channel, Member, String) {
    let channel = world.channel().await;
    let portal = portal(&channel, world.admin()).await;
    let mut connections = ConnectionServiceClient::new(channel.clone());
    let request = v1::CreateConnectionRequest {
        policy: Some(policy),
        ..proposal()
    };
    let site = told(connections.create_connection(portal.asks(request))).await;
    let request = v1::CreateTransferRequest {
        initiated_by_uuid: ADMIN.to_owned(),
        ..of(&site.connection.expect("it is told").uuid)
    };
    let mut transfers = TransferServiceClient::new(channel.clone());
    let made = done(transfers.create_transfer(portal.asks(request))).await;
    assert_eq!(made.initiated_by_uuid, ADMIN);
    let asking = request::asking(&made.uuid);
    done(transfers.request_approval(portal.asks(asking))).await;
    (channel, portal, made.uuid)
}

fn approval(uuid: &str, by: &str) -> v1::ApproveTransferRequest {
    v1::ApproveTransferRequest {
        admin_user_uuid: by.to_owned(),
        ..request::approval(uuid)
    }
}

#[tokio::test]
async fn who_declared_for_another_may_not_approve_it() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let (channel, portal, uuid) = declared_for_another(&world, ConnectionPolicy::default()).await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    // As itself, unnamed and named, for whom it declared, and for somebody else: it is the same hand each time.
    for by in ["", portal.uuid.as_str(), ADMIN, NOBODY] {
        let refusal = transfers
            .approve_transfer(portal.asks(approval(&uuid, by)))
            .await
            .expect_err("one hand is not two");
        let said = assert_refused(&refusal, Code::PermissionDenied, "SELF_APPROVAL");
        assert_eq!(said.metadata["uuid"], uuid, "{by}");
    }
    // Another service may not approve in its name.
    let other = self::portal(&channel, world.admin()).await;
    for by in [portal.uuid.as_str(), ADMIN] {
        let refusal = transfers
            .approve_transfer(other.asks(approval(&uuid, by)))
            .await
            .expect_err("they had their hand in it");
        assert_refused(&refusal, Code::PermissionDenied, "SELF_APPROVAL");
    }
    let approver = issue(&channel, world.admin(), Role::Approver, "").await;
    let approved = transfers.approve_transfer(approver.asks(approval(&uuid, "")));
    assert_eq!(done(approved).await.approved_by_uuid, approver.uuid);
}

#[tokio::test]
async fn who_declared_for_another_may_deny_it() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let (channel, portal, uuid) = declared_for_another(&world, ConnectionPolicy::default()).await;
    let mut transfers = TransferServiceClient::new(channel);
    let denial = v1::DenyTransferRequest {
        admin_user_uuid: String::new(),
        ..request::denial(&uuid)
    };
    let denied = done(transfers.deny_transfer(portal.asks(denial))).await;
    assert_eq!(denied.denied_by_uuid, portal.uuid);
}

#[tokio::test]
async fn a_policy_may_let_who_declared_approve() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let policy = ConnectionPolicy {
        self_approval: true,
        ..ConnectionPolicy::default()
    };
    let (channel, portal, uuid) = declared_for_another(&world, policy).await;
    let mut transfers = TransferServiceClient::new(channel);
    let approved = transfers.approve_transfer(portal.asks(approval(&uuid, "")));
    assert_eq!(done(approved).await.approved_by_uuid, portal.uuid);
}
