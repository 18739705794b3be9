//! Agents that have told who they are.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{AgentState, text};

/// A program that runs transfers and has said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Agent {
    /// Identity: the same for one `agent_instance` of one credential and connection, however often it starts.
    pub uuid: Uuid,
    /// The connection whose transfers it runs; `None` for those that belong to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_uuid: Option<Uuid>,
    /// The credential that it calls with; `None` where callers need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_uuid: Option<Uuid>,
    /// What it calls itself.
    pub agent_instance: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The machine that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What it can copy between, with versions.
    pub engines: BTreeMap<String, String>,
    /// The most transfers that it runs at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// What else operators want to know.
    pub labels: BTreeMap<String, String>,
    /// Whether it is heard, as it was when this was sent.
    pub state: AgentState,
    /// When it was first heard of.
    pub registered_at: DateTime<Utc>,
    /// When it last registered.
    pub last_beat_at: DateTime<Utc>,
    /// When it was last heard of, by itself or by what it runs.
    pub last_seen_at: DateTime<Utc>,
    /// How many transfers it runs.
    #[serde(serialize_with = "text::number")]
    pub runs: i64,
    /// What it says that it could still start; `None` where it has not said slots.
    #[serde(
        serialize_with = "text::optional_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub free_slots: Option<i64>,
    /// What it runs, the oldest first, at most 100. Empty in lists.
    pub run_uuids: Vec<Uuid>,
}

/// What the server knows of an agent that has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The agent, with what it runs.
    pub agent: Agent,
    /// When to register again.
    pub beat_interval: Duration,
}
