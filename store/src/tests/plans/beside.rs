//! Plans of what is kept beside transfers: bulk operations and agents.

use super::*;

#[tokio::test]
async fn bulk_operations_and_outcomes_are_found_along_indexes() {
    let fixture = Fixture::new().await;
    let of = |result| bulk_operation::select::outcomes(id(1), result, 5, 5);
    let found = [
        (
            plan(&fixture, &bulk_operation::select::list(later(5))).await,
            "bulk_operation_inserted_at",
        ),
        (
            plan(&fixture, &bulk_operation::select::running()).await,
            "bulk_operation_running",
        ),
        (
            plan(&fixture, &bulk_operation::select::ended(at(9))).await,
            "bulk_operation_ended_at",
        ),
        (
            plan(&fixture, &of(None)).await,
            "sqlite_autoindex_bulk_outcome_1 (operation_uuid=? AND number>?)",
        ),
        (
            plan(&fixture, &of(Some(BulkResult::Refused))).await,
            "bulk_outcome_result (operation_uuid=? AND result=? AND number>?)",
        ),
    ];
    for (plan, index) in found {
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains(SORT), "{plan}");
    }
}

#[tokio::test]
async fn agents_and_what_they_run_are_found_by_indexes() {
    let fixture = Fixture::new().await;
    for (connections, index) in [
        (ConnectionScope::All, "INDEX agent_registered_at"),
        (
            ConnectionScope::Only(id(1)),
            "INDEX agent_connection_uuid (connection_uuid=?",
        ),
    ] {
        let list = agent::select::list(connections, Some(at(9)), first(5));
        let plan = plan(&fixture, &list).await;
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains(SORT), "{plan}");
        assert!(!plan.contains("SCAN transfer"), "{plan}");
    }
    let gone = plan(&fixture, &agent::select::gone(at(9), 5)).await;
    assert!(
        gone.contains("INDEX agent_last_beat_at (last_beat_at<?)"),
        "{gone}"
    );
    let count = plan(&fixture, &agent::select::of_connection(Some(id(1)))).await;
    assert!(
        count.contains("INDEX agent_connection_uuid (connection_uuid=?)"),
        "{count}"
    );
    let told = registration("a");
    let runs = plan(&fixture, &agent::select::runs(&told, 5)).await;
    assert!(runs.contains("INDEX transfer_"), "{runs}");
    let names = transfer::Column::AgentInstance.eq("a");
    let counted = plan(&fixture, &agent::select::counted(names)).await;
    assert!(counted.contains("INDEX transfer_"), "{counted}");
}
