//! Limits of what runs at once.

use super::*;
use crate::{connection::Running, transfer::Agent};

#[test]
fn so_many_more_may_run_as_the_narrower_limit_leaves() {
    let free = |max_running, max_running_per_agent, all, of_agent| {
        let mut connection = north();
        connection.declared.policy.max_running = max_running;
        connection.declared.policy.max_running_per_agent = max_running_per_agent;
        connection.running = Running { all, of_agent };
        free_runs(&connection)
    };
    assert_eq!(free(None, None, 9, 9), None);
    assert_eq!(free(Some(10), None, 9, 9), Some(1));
    assert_eq!(free(Some(10), Some(3), 4, 1), Some(2));
    assert_eq!(free(Some(10), Some(3), 9, 1), Some(1));
    assert_eq!(free(Some(3), None, 9, 9), Some(0), "more than may run");
}

#[test]
fn an_agent_is_told_from_others_by_credential_and_instance() {
    let agent = |owner: u128, instance: &str| Agent {
        owner_uuid: Some(id(owner)),
        instance: instance.to_owned(),
    };
    let counts = [agent(1, "a"), agent(1, "b"), agent(2, "a")];
    let counts = counts.iter().zip([1, 2, 4]);
    let running = Running::of(counts, &agent(1, "b"));
    assert_eq!((running.all, running.of_agent), (7, 2));
}
