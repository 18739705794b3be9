//! The wire: deadlines, metadata, refusals that are too large, answers that nobody takes.
