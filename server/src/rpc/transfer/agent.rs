//! `RegisterAgent`, `GetAgent` and `ListAgents`.

use tidegate_proto::v1;
use tonic::Request;

use super::{
    super::{Backend, decode, encode, page},
    TransferApi,
};
use crate::error::Error;
use tidegate_domain::{
    agent::{AgentRuns, BEAT, KnownAgent},
    caller::Caller,
    page::{Position, Scope},
    refusal::Refusal,
    validate::Check,
};

impl TransferApi {
    pub(super) async fn register(
        &self,
        request: Request<v1::RegisterAgentRequest>,
    ) -> Result<v1::RegisterAgentResponse, Error> {
        let submission = decode::submission(request)?;
        let reader = self.backend.readers.as_seen_by(&submission.caller);
        let agent = self.backend.ledger.submit(submission).await?;
        let runs = reader.runs_of_one(&agent).await?;
        let now = self.backend.time.roughly_now();
        Ok(v1::RegisterAgentResponse {
            agent: Some(encode::agent(&agent, &runs, now)),
            beat_interval: BEAT.try_into().ok(),
        })
    }
}

impl Backend {
    pub(super) async fn get_agent(
        &self,
        caller: &Caller,
        request: v1::GetAgentRequest,
    ) -> Result<v1::GetAgentResponse, Error> {
        let mut check = Check::default();
        let uuid = check.uuid("uuid", &request.uuid);
        let uuid = check.finish(uuid)?;
        let reader = self.readers.as_seen_by(caller);
        let agent = reader.agent(uuid).await?;
        let agent = agent.ok_or(Refusal::AgentNotFound { uuid })?;
        let runs = reader.runs_of_one(&agent).await?;
        let now = self.time.roughly_now();
        Ok(v1::GetAgentResponse {
            agent: Some(encode::agent(&agent, &runs, now)),
        })
    }

    pub(super) async fn list_agents(
        &self,
        caller: &Caller,
        request: v1::ListAgentsRequest,
    ) -> Result<v1::ListAgentsResponse, Error> {
        let reader = self.readers.as_seen_by(caller);
        let mut check = Check::default();
        let filter = decode::agent_filter(&mut check, reader.scope(), &request);
        let scope = Scope::new("agents", "desc", &filter.fingerprint());
        let window = page::window(
            &mut check,
            &scope,
            request.page_size,
            &request.page_token,
            0,
        );
        let window = check.finish(window)?;
        let now = self.time.now().await?;
        let agents = reader
            .agents(&filter, filter.seen_since(now), page::one_more(window))
            .await?;
        let runs = reader.runs_of(&agents).await?;
        let idle = AgentRuns::default();
        let place = |agent: &KnownAgent| Position {
            micros: agent.registered_at.as_micros(),
            uuid: agent.uuid.into(),
        };
        let message = |agent: &KnownAgent| {
            let runs = runs.get(&agent.uuid).unwrap_or(&idle);
            encode::agent(agent, runs, now)
        };
        let (agents, next_page_token) = page::fit(&agents, window.limit, &scope, place, message);
        Ok(v1::ListAgentsResponse {
            agents,
            next_page_token,
        })
    }
}
