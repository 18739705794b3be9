//! The small examples of the client work together: an agent is approved, runs, and is watched.

use std::time::Duration;

use tidegate_tests::{
    ServerProcess,
    process::{binary, command, finish, run},
    soon,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::test]
async fn an_agent_is_approved_and_watched() {
    let server = ServerProcess::fresh().await;
    let example = |name: &str| {
        let mut program = command(binary(&format!("examples/{name}")));
        program.env("TIDEGATE_ADDRESS", &server.address);
        program
    };
    let mut watch = example("watch").spawn().expect("it starts");
    let agent = example("agent").spawn().expect("it starts");
    let approved = async {
        loop {
            let mut approve = example("approve");
            let ended = run(approve.arg("0190b7a2-5c1e-7d3f-8a4b-1c2d3e4f5a6b")).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            if ended.stdout.contains("is approved") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the approval", approved).await;
    let agent = soon("the agent's end", finish(agent)).await;
    assert_eq!(agent.code, Some(0), "{agent:?}");
    assert!(agent.stdout.contains("is completed"), "{agent:?}");
    let lines = watch.stdout.take().expect("stdout is piped");
    let mut lines = BufReader::new(lines).lines();
    let told = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.ends_with("orders is completed, 3000 rows") {
                return;
            }
        }
        panic!("the watch has ended");
    };
    soon("the word of its end", told).await;
}
