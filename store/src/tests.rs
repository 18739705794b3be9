//! The store against real files: what goes in comes out, in order, through the right index, and nowhere else.

mod fixture;
mod lists;
mod opening;
mod plans;
mod schema;
mod sites;
mod sums;
mod trim;
mod writes;
