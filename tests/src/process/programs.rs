//! The programs that tests start: built by the first test that needs one, unless scripts/test has done it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
};

/// Set by whoever has built the programs and fetched the tools already.
pub const PREPARED: &str = "TIDEGATE_TEST_PREPARED";

/// The server that can be told where to end.
const WITH_FAILPOINTS: &str = "tidegate-server-failpoints";

/// The folder that the programs of this build are in.
///
/// # Panics
/// When the running program does not know where it is.
pub fn folder() -> PathBuf {
    let program = env::current_exe().expect("a program knows its own path");
    let folder = program.parent().expect("it is in a folder");
    // Tests are one level below the other programs.
    match folder.parent() {
        Some(profile) if folder.ends_with("deps") => profile.to_owned(),
        _ => folder.to_owned(),
    }
}

/// The binary `name` beside the running test, built if need be; an example is `examples/name`, and an absolute path stays
/// itself.
///
/// # Panics
/// When it cannot be built.
pub fn binary(name: &str) -> PathBuf {
    static PROGRAMS: Once = Once::new();
    static FAILPOINTS: Once = Once::new();
    let path = folder().join(name);
    if env::var_os(PREPARED).is_none() && !Path::new(name).is_absolute() {
        if name == WITH_FAILPOINTS {
            let feature = "tidegate-server/failpoints";
            FAILPOINTS.call_once(|| build(&["--features", feature, "--bin", WITH_FAILPOINTS]));
        } else {
            PROGRAMS.call_once(|| build(&["--bins", "--examples"]));
        }
    }
    assert!(
        path.exists(),
        "{} is missing: run the tests with scripts/test, or without {PREPARED}",
        path.display()
    );
    path
}

fn build(what: &[&str]) {
    let folder = folder();
    let target = folder.parent().expect("a profile's folder is in another");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--workspace"])
        .args(what)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("CARGO_TARGET_DIR", target);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo runs");
    assert!(
        built.success(),
        "the programs that tests start do not build"
    );
}
