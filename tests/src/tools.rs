//! Third-party tools that the tests drive, fetched by `scripts/tools`.

use std::path::PathBuf;

/// Where `scripts/tools` puts a tool.
pub fn path(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join("target/tools/bin").join(name)
}

/// The path of a tool that `scripts/tools` has fetched.
///
/// # Panics
/// When it is missing: a test that can be skipped says so first, see [`skip_without`](crate::skip_without).
pub fn tool(name: &str) -> PathBuf {
    let path = path(name);
    assert!(
        path.exists(),
        "{} is missing: run scripts/tools",
        path.display()
    );
    path
}
