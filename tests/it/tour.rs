//! The tour in docs/tour.md works as it is written: its commands are run, line by line, against a fresh server.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tidegate_tests::{
    ServerProcess,
    needs::Need,
    process::{binary, command, folder, run},
    skip_without,
    tools::tool,
};

const BEGIN: &str = "<!-- tour -->";
const END: &str = "<!-- /tour -->";
/// Where the tour's server listens.
const ADDRESS: &str = "127.0.0.1:50051";

/// The commands between the markers.
fn commands(text: &str) -> String {
    let (_, after) = text
        .split_once(BEGIN)
        .unwrap_or_else(|| panic!("docs/tour.md has no {BEGIN}"));
    let (tour, _) = after
        .split_once(END)
        .unwrap_or_else(|| panic!("docs/tour.md has no {END}"));
    let mut commands = String::new();
    let mut inside = false;
    for line in tour.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            other if inside => {
                commands.push_str(other);
                commands.push('\n');
            }
            _ => {}
        }
    }
    commands
}

#[tokio::test]
async fn the_tour_works_as_it_is_written() {
    skip_without!(Need::Tool("grpcurl"));
    let tour = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tour.md"));
    let commands = commands(&fs::read_to_string(tour).expect("docs/tour.md is there"));
    for program in ["grpcurl", "tidegate", "tidegate-copy"] {
        assert!(
            commands.contains(program),
            "the tour does not show {program}"
        );
    }
    // Whatever the tour may call has to be there before it begins.
    _ = (binary("tidegate"), binary("tidegate-copy"));
    let tools = tool("grpcurl")
        .parent()
        .map(Path::to_owned)
        .expect("it is in a folder");
    let mut places: Vec<PathBuf> = vec![folder(), tools];
    places.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));

    let place = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::fresh().await;
    let script = place.path().join("tour.sh");
    fs::write(&script, commands.replace(ADDRESS, server.authority())).expect("it can be written");
    let mut bash = command("bash");
    let toured = run(bash
        .arg("-eux")
        .arg(&script)
        .current_dir(place.path())
        .env("PATH", env::join_paths(places).expect("plain names"))
        .env("TMPDIR", place.path())
        .env("TIDEGATE_ADDRESS", &server.address))
    .await;
    let (said, traced) = (&toured.stdout, &toured.stderr);
    assert_eq!(
        toured.code,
        Some(0),
        "the tour breaks off\n{said}\n{traced}"
    );
}

#[test]
fn commands_are_taken_from_blocks_between_the_markers() {
    let text = "```sh\nno\n```\n<!-- tour -->\nSay:\n\n```sh\none\ntwo\n```\n```text\nno\n```\n```sh\nthree\n```\n<!-- /tour -->\n";
    assert_eq!(commands(text), "one\ntwo\nthree\n");
}
