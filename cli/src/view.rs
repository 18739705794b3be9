//! How each kind of thing looks to people: the columns of its list, the values of its details. Prints nothing.

pub(crate) mod agent;
pub(crate) mod approval;
pub(crate) mod attempt;
pub(crate) mod bulk;
pub(crate) mod connection;
pub(crate) mod credential;
pub(crate) mod event;
pub(crate) mod explanation;
pub(crate) mod followed;
pub(crate) mod profile;
pub(crate) mod stats;
pub(crate) mod transfer;
