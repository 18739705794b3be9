//! Help, completions and manual pages; no server is there.

use tidegate_tests::process::{Finished, binary, command, run};

async fn tidegate(line: &str) -> Finished {
    run(command(binary("tidegate")).args(line.split_whitespace())).await
}

#[tokio::test]
async fn help_tells_what_holds_for_all_once() {
    let root = tidegate("--help").await;
    for word in ["--address", "--token-file", "--color", "Exit codes:"] {
        assert!(root.stdout.contains(word), "{word}: {root:?}");
    }
    let verb = tidegate("transfer get --help").await;
    assert_eq!(verb.code, Some(0), "{verb:?}");
    for word in ["--address", "--token", "--color", "Version"] {
        assert!(!verb.stdout.contains(word), "{word}: {verb:?}");
    }
    assert!(verb.stdout.contains("Examples:\n  tidegate transfer get "));
    assert!(verb.stdout.lines().count() < 30, "{verb:?}");
    // They are hidden, not gone.
    let used = tidegate("transfer list --address 127.0.0.1:1").await;
    assert_eq!(used.code, Some(78), "{used:?}");
}

#[tokio::test]
async fn shells_complete() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = tidegate(&format!("completion {shell}")).await;
        assert_eq!(script.code, Some(0), "{script:?}");
        assert!(script.stdout.contains("request-approval"), "{shell}");
    }
    // What bash has read it can use.
    let place = tempfile::tempdir().expect("a temporary folder");
    let script = tidegate("completion bash").await.stdout;
    std::fs::write(place.path().join("tidegate.bash"), script).expect("it can be written");
    let asked = "source tidegate.bash; COMP_WORDS=(tidegate transfer appr) COMP_CWORD=2; _tidegate tidegate appr transfer; \
                 echo \"${COMPREPLY[@]}\"";
    let mut bash = command("bash");
    let completed = run(bash.args(["-c", asked]).current_dir(place.path())).await;
    assert_eq!(completed.stdout, "approve\n", "{completed:?}");
}

#[tokio::test]
async fn manual_pages_are_written() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let folder = place.path().join("man1");
    let line = format!("man --dir {}", folder.display());
    let written = tidegate(&line).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    for page in ["tidegate.1", "tidegate-transfer-wait.1"] {
        let page = std::fs::read_to_string(folder.join(page)).expect("it is there");
        assert!(page.contains(".TH tidegate"), "{page}");
    }
}
