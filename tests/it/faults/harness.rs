//! The fault harness itself: what it breaks is broken, and what it leaves alone is not.
