//! The vocabularies of agents.

use super::*;

vocabulary! {
    /// Whether an agent is heard.
    AgentState from AgentState {
        /// It was seen lately.
        Alive = "alive",
        /// It was not.
        Silent = "silent",
    }
}
