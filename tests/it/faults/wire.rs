//! The wire: deadlines, metadata, refusals that are too large, answers that nobody takes.

mod ages;
mod metadata;
mod size;
mod statuses;
mod unread;
