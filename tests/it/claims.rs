//! Agents that claim: each transfer goes to one of them, and who waits is woken.

mod crowd;
mod repeated;
mod waiting;
mod worker;
