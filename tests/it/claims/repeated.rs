//! A claim that is repeated while it is still being written.

mod postgres_only {
    use std::time::Duration;

    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
    use tidegate_proto::v1;
    use tidegate_tests::{
        World, WorldOptions,
        raw::{Raw, plain, told},
        request, soon,
    };

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn a_repetition_elsewhere_waits_for_it_and_answers_with_what_it_started() {
        let world = World::start_with(WorldOptions::default()).await;
        let other = world.replica().await;
        let (mut raw, there) = (world.services().await, other.services().await);
        let connection = raw.connection("north").await;
        let declared = v1::CreateTransferRequest {
            connection_uuid: connection.clone(),
            ..plain()
        };
        let uuid = raw.create(declared).await.uuid;
        let session = world.database().connect().await;
        let begin = "BEGIN; SELECT 1 FROM event_counter FOR UPDATE";
        let held = session.execute_unprepared(begin).await;
        held.expect("no event can be written");

        let claim = v1::ClaimTransfersRequest {
            request_id: "once".to_owned(),
            ..request::claim(&connection)
        };
        let claims = |raw: &Raw| {
            let (mut raw, claim) = (raw.clone(), claim.clone());
            tokio::spawn(async move { told(raw.transfers.claim_transfers(claim)).await })
        };
        let first = claims(&raw);
        let waiting = "SELECT count(*) > 0 AS waiting FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        soon("the claim is being written", async {
            loop {
                let statement = Statement::from_string(DbBackend::Postgres, waiting);
                let row = session.query_one_raw(statement).await.expect("a row");
                let is_waiting: bool = row.expect("a row").try_get("", "waiting").expect("it");
                if is_waiting {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let second = claims(&there);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!second.is_finished(), "it cannot know yet");
        let end = session.execute_unprepared("ROLLBACK").await;
        end.expect("the event can be written");
        for answer in [first, second] {
            let answer = soon("an answer", answer).await.expect("no panic");
            let started: Vec<_> = answer.transfers.iter().map(|it| &it.uuid).collect();
            assert_eq!(started, [&uuid]);
            assert_eq!(answer.transfers[0].lease_epoch, 1);
        }
    }
}
