//! The limit of time of a call.

mod sqlite_only {
    use std::time::{Duration, Instant};

    use futures::future::join_all;
    use sea_orm::ConnectionTrait as _;
    use tidegate_proto::v1;
    use tidegate_tests::{
        World, assert_refused,
        raw::{plain, told},
        soon,
    };
    use tonic::Code;

    use super::super::ANSWERED;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_another_program_locks_is_said_in_time_and_nothing_refused_is_done() {
        let world = World::start().await;
        let mut raw = world.services().await;
        told(raw.transfers.create_transfer(plain())).await;
        let other = world.database().connect().await;
        let lock = "BEGIN IMMEDIATE";
        other.execute_unprepared(lock).await.expect("the lock");
        let calls = (0..20).map(|_| {
            let mut raw = raw.clone();
            async move {
                let began = Instant::now();
                let refusal = soon("an answer", raw.transfers.create_transfer(plain())).await;
                let refusal = refusal.expect_err("the file is locked");
                let refused = assert_refused(&refusal, Code::Unavailable, "DATABASE_UNAVAILABLE");
                assert!(refused.has_retry_info);
                assert!(began.elapsed() < ANSWERED, "{:?}", began.elapsed());
            }
        });
        join_all(calls).await;
        // Reads are not kept.
        let count = v1::CountTransfersRequest::default();
        let counted = told(raw.transfers.count_transfers(count.clone())).await;
        assert_eq!(counted.count, 1);
        // Waiting for less than the limit is nothing that a caller notices.
        let mut waiting = raw.clone();
        let waiting = tokio::spawn(async move {
            told(waiting.transfers.create_transfer(plain())).await;
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        other
            .execute_unprepared("ROLLBACK")
            .await
            .expect("it lets go");
        soon("the change", waiting).await.expect("it is done");
        told(raw.transfers.create_transfer(plain())).await;
        let counted = told(raw.transfers.count_transfers(count)).await;
        assert_eq!(counted.count, 3);
    }
}
