//! Third-party tools that the tests drive: grpcurl and buf, fetched by `scripts/tools`.

use std::path::PathBuf;

/// The path of a tool that `scripts/tools` has fetched.
///
/// # Panics
/// When it is missing: a test that needs it must not pass without.
pub fn tool(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("target/tools/bin").join(name);
    assert!(
        path.exists(),
        "{} is missing: run the tests with scripts/test",
        path.display()
    );
    path
}
