//! Agents: what they tell, whether they are heard, and what is known of them.

use std::time::Duration;

use futures::future::join_all;
use tidegate_proto::v1::{self, AgentState, EventType, event::Detail};
use tidegate_tests::{
    World, WorldOptions,
    actors::Actors,
    assert_refused,
    raw::{NOBODY, Raw, told, wire_duration, wire_time},
    request,
};
use tonic::{Code, Status};
use uuid::Uuid;

const BEAT: Duration = Duration::from_secs(30);
const SILENT: Duration = Duration::from_secs(90);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

async fn world() -> (World, Raw, String) {
    let world = World::start_with(WorldOptions::still()).await;
    let mut raw = world.services().await;
    let connection = raw.connection("north").await;
    (world, raw, connection)
}

fn named(instance: &str, connection: &str) -> v1::RegisterAgentRequest {
    v1::RegisterAgentRequest {
        agent_instance: instance.to_owned(),
        connection_uuid: connection.to_owned(),
        ..v1::RegisterAgentRequest::default()
    }
}

async fn register(raw: &mut Raw, request: v1::RegisterAgentRequest) -> v1::Agent {
    let answer = told(raw.transfers.register_agent(request)).await;
    answer.agent.expect("the agent")
}

async fn get(raw: &mut Raw, uuid: &str) -> Result<v1::Agent, Status> {
    let uuid = uuid.to_owned();
    let answer = raw
        .transfers
        .get_agent(v1::GetAgentRequest { uuid })
        .await?;
    Ok(answer.into_inner().agent.expect("the agent"))
}

async fn list(raw: &mut Raw, request: v1::ListAgentsRequest) -> Vec<v1::Agent> {
    told(raw.transfers.list_agents(request)).await.agents
}

fn instances(agents: &[v1::Agent]) -> Vec<&str> {
    agents.iter().map(|it| it.agent_instance.as_str()).collect()
}

/// Starts a transfer for an agent, which is to report within a minute.
async fn run(raw: &mut Raw, connection: &str, instance: &str) -> v1::Transfer {
    let declared = v1::CreateTransferRequest {
        connection_uuid: connection.to_owned(),
        ..tidegate_tests::raw::plain()
    };
    let uuid = raw.create(declared).await.uuid;
    let starting = v1::StartTransferRequest {
        agent_instance: instance.to_owned(),
        heartbeat_timeout: Some(wire_duration(Duration::from_secs(600))),
        ..request::starting(&uuid)
    };
    tidegate_tests::raw::done(raw.transfers.start_transfer(starting)).await
}

#[tokio::test]
async fn an_agent_is_read_back_as_it_registered_with_what_it_runs() {
    let (world, mut raw, connection) = world().await;
    let tags = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let registering = v1::RegisterAgentRequest {
        version: "1.4.0".to_owned(),
        host: "copy-1.example".to_owned(),
        engines: tags("postgres", "17.2"),
        slots: 2,
        labels: tags("rack", "Łódź"),
        request_id: "once".to_owned(),
        ..named("copy-1", &connection)
    };
    let came = world.clock.now();
    let answer = told(raw.transfers.register_agent(registering.clone())).await;
    assert_eq!(answer.beat_interval, Some(wire_duration(BEAT)));
    let agent = answer.agent.expect("the agent");
    let expected = v1::Agent {
        uuid: agent.uuid.clone(),
        connection_uuid: connection.clone(),
        credential_uuid: String::new(),
        agent_instance: "copy-1".to_owned(),
        version: "1.4.0".to_owned(),
        host: "copy-1.example".to_owned(),
        engines: tags("postgres", "17.2"),
        slots: 2,
        labels: tags("rack", "Łódź"),
        state: AgentState::Alive.into(),
        registered_at: Some(wire_time(came)),
        last_beat_at: Some(wire_time(came)),
        last_seen_at: Some(wire_time(came)),
        runs: 0,
        free_slots: Some(2),
        run_uuids: Vec::new(),
    };
    assert!(Uuid::try_parse(&agent.uuid).is_ok());
    assert_eq!(agent, expected);
    assert_eq!(
        told(raw.transfers.get_agent(v1::GetAgentRequest {
            uuid: agent.uuid.clone(),
        }))
        .await
        .agent,
        Some(expected.clone())
    );

    // What others run is not its own, whatever they have in common.
    run(&mut raw, &connection, "copy-2").await;
    run(&mut raw, "", "copy-1").await;
    let mut uuids = Vec::new();
    for _ in 0..3 {
        uuids.push(run(&mut raw, &connection, "copy-1").await.uuid);
        world.clock.advance(Duration::from_secs(1));
    }
    let busy = v1::Agent {
        last_seen_at: Some(wire_time(came.after(Duration::from_secs(2)))),
        runs: 3,
        free_slots: Some(0),
        run_uuids: uuids,
        ..expected
    };
    assert_eq!(get(&mut raw, &agent.uuid).await.expect("it is known"), busy);
    let listed = v1::Agent {
        run_uuids: Vec::new(),
        ..busy.clone()
    };
    assert_eq!(
        list(&mut raw, v1::ListAgentsRequest::default()).await,
        [listed]
    );

    world.clock.advance(BEAT);
    let now = Some(wire_time(world.clock.now()));
    let again = v1::Agent {
        last_beat_at: now,
        last_seen_at: now,
        ..busy
    };
    assert_eq!(register(&mut raw, registering).await, again);
}

#[tokio::test]
async fn the_first_beat_and_another_version_are_events_and_other_beats_are_none() {
    let (world, mut raw, connection) = world().await;
    let before = raw.log().await.len();
    let mut registering = v1::RegisterAgentRequest {
        version: "1".to_owned(),
        ..named("a", &connection)
    };
    let uuid = register(&mut raw, registering.clone()).await.uuid;
    world.clock.advance(BEAT);
    registering.host = "moved".to_owned();
    register(&mut raw, registering.clone()).await;
    registering.version = "2".to_owned();
    register(&mut raw, registering).await;
    let log = raw.log().await;
    let expected = [("1", ""), ("2", "moved")].map(|(version, host)| {
        Some(Detail::Agent(v1::AgentDetail {
            agent_instance: "a".to_owned(),
            version: version.to_owned(),
            host: host.to_owned(),
        }))
    });
    let details: Vec<_> = log[before..].iter().map(|it| it.detail.clone()).collect();
    assert_eq!(details, expected);
    for event in &log[before..] {
        assert_eq!(event.r#type(), EventType::AgentRegistered);
        assert_eq!(event.subject_uuid, uuid);
        assert_eq!(event.connection_uuid, connection);
        assert_eq!(
            (event.connection_name.as_str(), event.revision),
            ("north", 0)
        );
    }
    // What is not said again is not known any more.
    let bare = register(&mut raw, named("a", &connection)).await;
    assert_eq!((bare.version.as_str(), bare.host.as_str()), ("", ""));
}

#[tokio::test]
async fn agents_are_listed_by_connection_and_by_whether_they_are_heard() {
    let (world, mut raw, north) = world().await;
    let south = raw.connection("south").await;
    for (instance, connection) in [
        ("quiet", &north),
        ("busy", &north),
        ("other", &south),
        ("alone", &String::new()),
    ] {
        register(&mut raw, named(instance, connection)).await;
        world.clock.advance(Duration::from_millis(1));
    }
    let all = v1::ListAgentsRequest::default();
    let everyone = list(&mut raw, all.clone()).await;
    assert_eq!(instances(&everyone), ["alone", "other", "busy", "quiet"]);
    let of_north = v1::ListAgentsRequest {
        connection_uuid: north.clone(),
        ..all.clone()
    };
    let found = list(&mut raw, of_north.clone()).await;
    assert_eq!(instances(&found), ["busy", "quiet"]);

    let uuid = run(&mut raw, &north, "busy").await.uuid;
    let same_name = run(&mut raw, &south, "quiet").await.uuid;
    world.clock.advance(SILENT);
    let since = world.clock.now();
    for uuid in [&uuid, &same_name] {
        let report = v1::UpdateProgressRequest {
            lease_epoch: 1,
            ..request::reporting(uuid, tidegate_tests::raw::totals(1))
        };
        tidegate_tests::raw::done(raw.transfers.update_progress(report)).await;
    }
    world.clock.advance(Duration::from_secs(1));
    let states: Vec<_> = list(&mut raw, of_north.clone()).await;
    let states: Vec<_> = states.iter().map(v1::Agent::state).collect();
    assert_eq!(states, [AgentState::Alive, AgentState::Silent]);
    for narrow in [
        v1::ListAgentsRequest {
            alive_only: true,
            ..all.clone()
        },
        v1::ListAgentsRequest {
            seen_since: Some(wire_time(since)),
            ..all.clone()
        },
    ] {
        assert_eq!(instances(&list(&mut raw, narrow).await), ["busy"]);
    }

    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListAgentsRequest {
            page_size: 3,
            page_token,
            ..all.clone()
        };
        let page = told(raw.transfers.list_agents(request)).await;
        seen.extend(page.agents.into_iter().map(|it| it.agent_instance));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        let other = v1::ListAgentsRequest {
            page_token: page_token.clone(),
            ..of_north.clone()
        };
        let refusal = raw.transfers.list_agents(other).await;
        let refusal = refusal.expect_err("the token is of another list");
        assert_refused(&refusal, Code::InvalidArgument, "INVALID_FIELDS");
    }
    assert_eq!(seen, ["alone", "other", "busy", "quiet"]);
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let (_world, mut raw, _) = world().await;
    let refusal = get(&mut raw, NOBODY)
        .await
        .expect_err("nobody is called that");
    let refused = assert_refused(&refusal, Code::NotFound, "AGENT_NOT_FOUND");
    assert_eq!(refused.metadata["uuid"], NOBODY);
    let log = raw.log().await;
    let registering = raw.transfers.register_agent(named("a", NOBODY));
    let refusal = registering.await.expect_err("there is no such connection");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    assert_eq!(list(&mut raw, v1::ListAgentsRequest::default()).await, []);
    assert_eq!(raw.log().await, log);
}

#[tokio::test]
async fn an_agent_is_one_of_its_credential_and_seen_by_its_connection() {
    let world = World::start_with(WorldOptions::guarded()).await;
    let actors = Actors::of(&world).await;
    let mut raw = world.services().await;
    let mine = raw
        .transfers
        .register_agent(actors.agent.asks(named("a", "")));
    let mine = told(mine).await.agent.expect("the agent");
    assert_eq!(mine.connection_uuid, actors.own);
    assert_eq!(mine.credential_uuid, actors.agent.uuid);
    let admin = tidegate_tests::actors::bearing(&actors.admin, named("a", &actors.own));
    let admins = told(raw.transfers.register_agent(admin)).await;
    let admins = admins.agent.expect("the agent");
    assert_ne!(
        admins.uuid, mine.uuid,
        "nobody speaks for another credential"
    );

    let stranger = actors.stranger.asks(named("a", &actors.own));
    let refusal = raw.transfers.register_agent(stranger).await;
    let refusal = refusal.expect_err("the connection is another one's");
    assert_refused(&refusal, Code::NotFound, "CONNECTION_NOT_FOUND");
    let uuid = mine.uuid.clone();
    let asked = actors.stranger.asks(v1::GetAgentRequest { uuid });
    let refusal = raw.transfers.get_agent(asked).await;
    let refusal = refusal.expect_err("it is another one's");
    assert_refused(&refusal, Code::NotFound, "AGENT_NOT_FOUND");
    for (who, count) in [
        (&actors.stranger, 0),
        (&actors.agent, 2),
        (&actors.viewer, 2),
    ] {
        let asked = who.asks(v1::ListAgentsRequest::default());
        let found = told(raw.transfers.list_agents(asked)).await.agents;
        assert_eq!(found.len(), count);
    }
}

#[tokio::test]
async fn an_agent_that_says_nothing_for_a_week_is_removed() {
    let world = World::start_with(WorldOptions {
        sweep_interval: Duration::from_millis(20),
        ..WorldOptions::still()
    })
    .await;
    let mut raw = world.services().await;
    let gone = register(&mut raw, named("gone", "")).await;
    world.clock.advance(Duration::from_secs(1));
    register(&mut raw, named("there", "")).await;
    world.clock.advance(WEEK);
    let mut left = Vec::new();
    for _ in 0..500 {
        left = list(&mut raw, v1::ListAgentsRequest::default()).await;
        if left.len() < 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(instances(&left), ["there"]);
    let log = raw.log().await;
    let last = log.last().expect("an event");
    assert_eq!(last.r#type(), EventType::AgentRemoved);
    assert_eq!(
        (last.subject_uuid.as_str(), last.actor.as_str()),
        (gone.uuid.as_str(), "sweeper")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_so_many_agents_and_no_more() {
    let (_world, mut raw, connection) = world().await;
    let all = (0..1_005).map(|number| {
        let (mut raw, name) = (raw.clone(), format!("agent-{number}"));
        let registering = named(&name, &connection);
        async move { raw.transfers.register_agent(registering).await }
    });
    let outcomes = join_all(all).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(refused.len(), 5);
    for refusal in refused {
        let refused = assert_refused(refusal, Code::ResourceExhausted, "TOO_MANY_AGENTS");
        assert_eq!(refused.metadata["limit"], "1000");
    }
    let known = outcomes.into_iter().find_map(Result::ok).expect("one");
    let known = known.into_inner().agent.expect("the agent");
    register(&mut raw, named(&known.agent_instance, &connection)).await;
    register(&mut raw, named("elsewhere", "")).await;
}
