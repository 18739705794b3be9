//! The store against real files: what goes in comes out, in order, through the right index, and nowhere else.

mod attempts;
mod bulk_operations;
mod cached;
mod claims;
mod credentials;
mod exports;
mod filters;
mod fixture;
mod lists;
mod lookups;
mod opening;
mod plans;
mod schema;
mod scoped;
mod sites;
mod sums;
mod trim;
mod writes;
