//! A disk that does not answer while a checkpoint is written.

use tidegate_tests::{
    Database,
    fault::{Failure, Shim, shim::SYNC},
    metrics,
    needs::Need,
    skip_without,
};

use super::*;
use crate::audit::checkpoints::Signer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_does_not_answer_is_told_and_holds_nobody_up() {
    skip_without!(Need::Compiler);
    let (signer, database, shim) = (Signer::new(), Database::fresh().await, Shim::new());
    let (server, address) = signer.serve_with(&database, &shim).await;
    shim.fail(&SYNC, "*/signed", Failure::Hang);
    let client = server.raw().await;
    let mut events = 0;
    let failed = async {
        let name = "tidegate_checkpoints_total{outcome=\"failed\"}";
        while metrics::sample(&address, name).await == 0.0 {
            create_all(&client, 1).await;
            events += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("a failure that is counted", failed).await;
    server.logged("no checkpoint was signed").await;
    assert_eq!(shim.struck(), 1, "one write at a time");
    let serving = health(&server, "").await.expect("an answer");
    assert_eq!(serving, ServingStatus::Serving);
    shim.heal();
    signer.reaches(events).await;
    // It ends all the same while a write waits.
    shim.fail(&SYNC, "*/signed", Failure::Hang);
    let struck = shim.struck();
    create_all(&client, 1).await;
    let hangs = async {
        while shim.struck() == struck {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("a write that hangs", hangs).await;
    let (status, took) = server.terminate().await;
    assert!(
        status.success() && took < LONGEST,
        "{status} after {took:?}"
    );
    shim.heal();
    let ended = signer.verify(&database).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
