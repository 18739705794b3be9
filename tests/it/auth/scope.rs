//! An agent and what belongs to others: to another connection, or to none. It is as if it did not exist.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tidegate_proto::v1::{
    self, event_service_client::EventServiceClient, transfer_service_client::TransferServiceClient,
    watch_events_response::Update as Step, watch_transfers_response::Update,
};
use tidegate_tests::{
    World,
    actors::{Actors, Member, bearing, connection},
    assert_refused, dynamic,
    raw::{NOBODY, done, plain, told},
    request, soon,
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;

type Transfers = TransferServiceClient<Channel>;

/// Somebody else's transfers, which wait for approval, run and are done, and one of nobody's.
struct Town {
    world: World,
    actors: Actors,
    channel: Channel,
    /// Of `own`, of `other`, and of no connection.
    own: Vec<String>,
    others: Vec<String>,
}

async fn create(transfers: &mut Transfers, token: &str, connection: &str) -> String {
    let request = v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        ..plain()
    };
    done(transfers.create_transfer(bearing(token, request)))
        .await
        .uuid
}

/// Four transfers of a connection: new, waiting, running and completed.
async fn four(transfers: &mut Transfers, token: &str, connection: &str) -> Vec<String> {
    let mut uuids = Vec::new();
    for step in 0..4 {
        let uuid = create(transfers, token, connection).await;
        if step == 1 {
            let asking = request::asking(&uuid);
            done(transfers.request_approval(bearing(token, asking))).await;
        }
        if step >= 2 {
            let start = request::starting(&uuid);
            done(transfers.start_transfer(bearing(token, start))).await;
        }
        if step == 3 {
            let completion = request::completion(&uuid);
            done(transfers.complete_transfer(bearing(token, completion))).await;
        }
        uuids.push(uuid);
    }
    uuids
}

async fn town() -> Town {
    let (world, actors) = super::actors().await;
    let channel = world.channel().await;
    let mut transfers = TransferServiceClient::new(channel.clone());
    let own = four(&mut transfers, &actors.agent.token, &actors.own).await;
    let mut others = four(&mut transfers, &actors.stranger.token, &actors.other).await;
    others.extend(four(&mut transfers, &actors.admin, "").await);
    Town {
        world,
        actors,
        channel,
        own,
        others,
    }
}

/// Every field of `method` that names something, however deep.
fn named(method: &MethodDescriptor) -> Vec<&'static str> {
    let fields = ["uuid", "transfer_uuid", "connection_uuid", "retry_of_uuid"];
    let names = fields.into_iter();
    names
        .filter(|name| method.input().get_field_by_name(name).is_some())
        .collect()
}

/// What is told about something: the answer, or everything about the refusal, with `uuid` taken out; and its length.
async fn telling(
    town: &Town,
    method: &MethodDescriptor,
    field: &str,
    uuid: &str,
) -> (Code, String, usize) {
    let mut message = DynamicMessage::new(method.input());
    let text = |text: &str| Value::String(text.to_owned());
    for (other, value) in [
        ("table_name", text("characters")),
        ("error_message", text("broken")),
        ("include_existing", Value::Bool(true)),
    ] {
        if method.input().get_field_by_name(other).is_some() {
            message.set_field_by_name(other, value);
        }
    }
    if method.name() == "CreateTransfer" {
        message.set_field_by_name("direction", Value::EnumNumber(1));
        message.set_field_by_name("connection_uuid", text(&town.actors.own));
    }
    match field.strip_prefix("filter.") {
        None => message.set_field_by_name(field, text(uuid)),
        Some(field) => {
            let filter = method
                .input()
                .get_field_by_name("filter")
                .expect("a filter");
            let kind = filter.kind();
            let mut inner = DynamicMessage::new(kind.as_message().expect("a message").clone());
            inner.set_field_by_name(field, text(uuid));
            message.set_field(&filter, Value::Message(inner));
        }
    }
    let bearer = format!("Bearer {}", town.actors.agent.token);
    let path = dynamic::path(method);
    let call = dynamic::call_bytes_as(&town.channel, Some(&bearer), &path, message.encode_to_vec());
    let blank = |text: String| text.replace(uuid, NOBODY);
    match soon(method.name(), call).await {
        Ok(answer) => {
            let bytes = answer.unwrap_or_default();
            let text = bytes.iter().map(|byte| char::from(*byte)).collect();
            (Code::Ok, blank(text), bytes.len())
        }
        Err(status) => {
            // Maps are encoded in any order.
            let mut details = status.get_error_details();
            let info = details.error_info().expect("an ErrorInfo").clone();
            let metadata: BTreeMap<_, _> = info.metadata.into_iter().collect();
            details.set_error_info(info.reason, info.domain, HashMap::new());
            let text = format!("{} {metadata:?} {details:?}", status.message());
            (status.code(), blank(text), status.details().len())
        }
    }
}

#[tokio::test]
async fn what_belongs_to_others_is_told_of_as_what_never_was() {
    let town = town().await;
    let mut compared = 0;
    for method in dynamic::methods() {
        let of_connection = method.parent_service().name() == "ConnectionService";
        let mut fields = named(&method);
        if method.input().get_field_by_name("filter").is_some() {
            fields.push("filter.connection_uuid");
        }
        for field in fields {
            let is_connection = of_connection || field.ends_with("connection_uuid");
            let foreign: Vec<&str> = if is_connection {
                vec![&town.actors.other]
            } else {
                town.others.iter().map(String::as_str).collect()
            };
            let unknown = telling(&town, &method, field, NOBODY).await;
            for uuid in foreign {
                let told = telling(&town, &method, field, uuid).await;
                assert_eq!(told, unknown, "{} by {field}", method.name());
                compared += 1;
            }
        }
    }
    assert!(compared > 80, "{compared} were compared");
    let mut transfers = TransferServiceClient::new(town.channel.clone());
    for uuid in &town.others {
        let request = v1::GetTransferRequest {
            uuid: uuid.clone(),
            ..v1::GetTransferRequest::default()
        };
        let admin = bearing(&town.actors.admin, request);
        let transfer = done(transfers.get_transfer(admin)).await;
        assert!(transfer.revision <= 3, "nobody touched it: {transfer:?}");
    }
}

fn set<'a>(uuids: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    uuids.into_iter().cloned().collect()
}

#[tokio::test]
async fn an_agent_lists_and_counts_its_own_alone() {
    let town = town().await;
    let agent = &town.actors.agent;
    let mut transfers = TransferServiceClient::new(town.channel.clone());
    let mut page = v1::ListTransfersRequest {
        page_size: 3,
        ..v1::ListTransfersRequest::default()
    };
    let mut listed = BTreeSet::new();
    loop {
        let answer = told(transfers.list_transfers(agent.asks(page.clone()))).await;
        listed.extend(answer.transfers.into_iter().map(|it| it.uuid));
        page.page_token = answer.next_page_token;
        if page.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, set(&town.own));
    let count = told(transfers.count_transfers(agent.asks(Default::default()))).await;
    assert_eq!(count.count, 4);
    let recent = told(transfers.list_recent_transfers(agent.asks(Default::default()))).await;
    assert_eq!(
        set(recent.transfers.iter().map(|it| &it.uuid)),
        set(&town.own)
    );
    let active = told(transfers.list_active_transfers(agent.asks(Default::default()))).await;
    assert_eq!(
        set(active.transfers.iter().map(|it| &it.uuid)),
        set(&town.own[2..3])
    );
    let waiting = told(transfers.list_pending_approvals(agent.asks(Default::default()))).await;
    assert_eq!(
        set(waiting.transfers.iter().map(|it| &it.uuid)),
        set(&town.own[1..2])
    );
    let tables = told(transfers.list_table_stats(agent.asks(Default::default()))).await;
    assert_eq!(tables.stats.iter().map(|it| it.count).sum::<i64>(), 1);
    // A page of everything goes on as a page of everything, not as one of an agent's.
    let all = v1::ListTransfersRequest {
        page_size: 3,
        ..v1::ListTransfersRequest::default()
    };
    let first = told(transfers.list_transfers(bearing(&town.actors.admin, all.clone()))).await;
    let stolen = v1::ListTransfersRequest {
        page_token: first.next_page_token,
        ..all
    };
    let refused = transfers.list_transfers(agent.asks(stolen)).await;
    let refused = refused.expect_err("it is not its token");
    assert_refused(&refused, Code::InvalidArgument, "INVALID_FIELDS");
}

#[tokio::test]
async fn an_agent_sees_its_own_connection_alone() {
    let town = town().await;
    let bearer = format!("Bearer {}", town.actors.agent.token);
    let methods = dynamic::methods();
    let list = methods
        .iter()
        .find(|it| it.name() == "ListConnections")
        .expect("it is there");
    let message = DynamicMessage::new(list.input());
    let answer = dynamic::call_as(&town.channel, Some(&bearer), list, &message).await;
    let answer = answer.expect("it may").expect("an answer").encode_to_vec();
    let answer =
        v1::ListConnectionsResponse::decode(answer.as_slice()).expect("as the contract says");
    let seen: Vec<_> = answer
        .connections
        .iter()
        .map(|it| it.uuid.as_str())
        .collect();
    assert_eq!(seen, [town.actors.own.as_str()]);
    assert!(answer.next_page_token.is_empty());
}

#[tokio::test]
async fn an_agent_reads_and_follows_the_events_of_its_own_connection_alone() {
    let town = town().await;
    let (agent, own) = (&town.actors.agent, &town.actors.own);
    let mut events = EventServiceClient::new(town.channel.clone());
    let request = v1::ListEventsRequest {
        page_size: 1_000,
        ..v1::ListEventsRequest::default()
    };
    let listed = told(events.list_events(agent.asks(request))).await.events;
    assert!(listed.len() >= 10, "{listed:?}");
    assert!(
        listed.iter().all(|event| event.connection_uuid == *own),
        "{listed:?}"
    );
    let mut watch = told(events.watch_events(agent.asks(Default::default()))).await;
    let mut watched = Vec::new();
    loop {
        let message = soon("an update", watch.message())
            .await
            .expect("no refusal");
        match message.expect("no end").update.expect("an update") {
            Step::Event(event) => watched.push(event),
            Step::Bookmark(_) => break,
        }
    }
    assert_eq!(watched, listed);
    // What happens from here on, to others first.
    let mut transfers = TransferServiceClient::new(town.channel.clone());
    create(
        &mut transfers,
        &town.actors.stranger.token,
        &town.actors.other,
    )
    .await;
    let uuid = create(&mut transfers, &agent.token, own).await;
    loop {
        let message = soon("an update", watch.message())
            .await
            .expect("no refusal");
        if let Step::Event(event) = message.expect("no end").update.expect("an update") {
            assert_eq!((&event.transfer_uuid, &event.connection_uuid), (&uuid, own));
            break;
        }
    }
}

#[tokio::test]
async fn an_agent_watches_its_own_transfers_alone() {
    let town = town().await;
    let agent = &town.actors.agent;
    let mut transfers = TransferServiceClient::new(town.channel.clone());
    for after_sequence in [None, Some(0)] {
        let request = v1::WatchTransfersRequest {
            include_existing: after_sequence.is_none(),
            after_sequence,
            ..v1::WatchTransfersRequest::default()
        };
        let mut watch = told(transfers.watch_transfers(agent.asks(request))).await;
        let mut seen = BTreeSet::new();
        loop {
            let message = soon("an update", watch.message())
                .await
                .expect("no refusal");
            match message.expect("no end").update {
                Some(Update::Transfer(transfer)) => _ = seen.insert(transfer.uuid),
                Some(Update::DeletedUuid(uuid)) => panic!("{uuid} was not deleted"),
                Some(Update::CaughtUp(_)) => break,
                None => {}
            }
        }
        assert!(town.others.iter().all(|uuid| !seen.contains(uuid)));
        assert!(set(&town.own).is_subset(&seen), "{seen:?}");
        create(
            &mut transfers,
            &town.actors.stranger.token,
            &town.actors.other,
        )
        .await;
        create(&mut transfers, &town.actors.admin, "").await;
        let uuid = create(&mut transfers, &agent.token, &town.actors.own).await;
        loop {
            let message = soon("an update", watch.message())
                .await
                .expect("no refusal");
            if let Some(Update::Transfer(transfer)) = message.expect("no end").update {
                assert_eq!(transfer.uuid, uuid);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_report_on_anothers_transfer_says_that_there_is_none() {
    let town = town().await;
    let report =
        async |member: &Member, uuid: &str| -> Result<v1::ReportProgressResponse, Status> {
            let mut transfers = TransferServiceClient::new(town.channel.clone());
            let report = v1::ReportProgressRequest {
                uuid: uuid.to_owned(),
                ..v1::ReportProgressRequest::default()
            };
            let reports = member.asks(tokio_stream::iter([report]));
            let mut answers = transfers.report_progress(reports).await?.into_inner();
            Ok(answers.message().await?.expect("an answer"))
        };
    let unknown = report(&town.actors.agent, NOBODY).await.expect("an answer");
    assert_eq!(
        unknown.error.as_ref().expect("a no").reason,
        "TRANSFER_NOT_FOUND"
    );
    for uuid in &town.others {
        let told = report(&town.actors.agent, uuid).await.expect("an answer");
        let blank = |text: String| text.replace(uuid.as_str(), NOBODY);
        assert_eq!(blank(format!("{told:?}")), format!("{unknown:?}"));
    }
    let own = report(&town.actors.agent, &town.own[2])
        .await
        .expect("an answer");
    assert!(own.error.is_none(), "{own:?}");
}

#[tokio::test]
async fn an_agent_of_a_connection_that_is_new_sees_nothing_yet() {
    let town = town().await;
    let fresh = connection(&town.channel, &town.actors.admin, "fresh").await;
    let role = v1::Role::Agent;
    let agent =
        tidegate_tests::actors::issue(&town.channel, &town.actors.admin, role, &fresh).await;
    let mut transfers = TransferServiceClient::new(town.world.channel().await);
    let count = told(transfers.count_transfers(agent.asks(Default::default()))).await;
    assert_eq!(count.count, 0);
}
