//! Places where a chaos run can end, delay or disturb the process. Without the feature `failpoints` there are none.

/// A place that is passed; when it is told to `return`, the process ends there as if it had been killed.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    fail::fail_point!(name, |_| std::process::abort());
}

/// A place that is passed: nothing at all in a server without the feature.
#[cfg(not(feature = "failpoints"))]
pub const fn pass(_name: &str) {}
