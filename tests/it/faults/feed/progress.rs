//! Progress that is reported through one replica is told on the others, however many transfers move.

mod postgres_only {
    use std::time::Duration;

    use sea_orm::DatabaseConnection;
    use tidegate_proto::v1::{self, watch_transfers_response::Update};
    use tidegate_tests::{
        World,
        raw::{plain, totals},
        soon,
    };

    use super::super::run;

    /// More than one look may hold.
    const MOVING: i64 = 10_400;

    /// So many more transfers like this one, older than it.
    async fn multiply(database: &DatabaseConnection, uuid: &str) {
        let sql = "INSERT INTO transfer SELECT r.* \
                   FROM transfer t, generate_series(1, $1) n, \
                     LATERAL jsonb_populate_record(t, jsonb_build_object( \
                       'uuid', gen_random_uuid(), 'correlation_uuid', gen_random_uuid(), \
                       'inserted_at', t.inserted_at - n, \
                       'table_name', 'crowd')) r \
                   WHERE t.uuid = CAST($2 AS uuid)";
        run(database, sql, [MOVING.into(), uuid.into()]).await;
    }

    /// Reports of all of them, over and over.
    async fn move_all(database: &DatabaseConnection) {
        let sql = "UPDATE transfer SET revision = revision + $1, \
                     updated_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
                   WHERE table_name = 'crowd'";
        loop {
            run(database, sql, [1_i64.into()]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: scripts/test or just test-pg"]
    async fn the_newest_of_very_many_that_move_is_told_on_another_replica() {
        let a = World::start().await;
        let b = a.replica().await;
        let (mut on_a, mut on_b) = (a.services().await, b.services().await);
        let template = on_a.running().await.uuid;
        let database = a.database().connect().await;
        multiply(&database, &template).await;
        let newest = v1::CreateTransferRequest {
            table_name: "newest".to_owned(),
            ..plain()
        };
        let uuid = on_a.create(newest).await.uuid;
        on_a.start(&uuid).await;
        let request = v1::WatchTransfersRequest {
            filter: Some(v1::TransferFilter {
                table_names: vec!["newest".to_owned()],
                ..v1::TransferFilter::default()
            }),
            include_existing: true,
            ..v1::WatchTransfersRequest::default()
        };
        let watch = on_b.transfers.watch_transfers(request).await;
        let mut watch = watch.expect("accepted").into_inner();
        let reports = async {
            for records in 1..=3 {
                let report = tidegate_tests::request::reporting(&uuid, totals(records));
                let answer = on_a.transfers.update_progress(report).await;
                let reported = answer.expect("accepted").into_inner().transfer;
                let told = reported.map(Update::Transfer);
                soon("the report of the newest", async {
                    loop {
                        let message = watch.message().await.expect("no refusal");
                        if message.expect("it goes on").update == told {
                            break;
                        }
                    }
                })
                .await;
            }
        };
        tokio::select! {
            () = reports => {}
            () = move_all(&database) => {}
        }
    }
}
