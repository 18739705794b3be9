//! The wire contract of Tidegate: generated messages, client and server stubs of `tidegate.v1`, and their descriptors.
//!
//! What the calls promise is written in the `.proto` files beside this crate and repeated in the docs of the generated
//! items; what holds for every call stands at the head of `common.proto`, and every reason of a refusal is a value of
//! [`v1::ErrorReason`]. This crate holds no code of its own but what keeps secrets out of `Debug`. The generated code is
//! kept with it, so that its build needs no compiler of protos.
//!
//! The stubs of servers need the feature `server`.

mod secret;

/// Package `tidegate.v1`.
pub mod v1 {
    #![allow(
        clippy::all,
        clippy::pedantic,
        rustdoc::all,
        missing_docs,
        reason = "generated"
    )]
    include!("../generated/tidegate.v1.rs");
}

/// The encoded `FileDescriptorSet` of the package and its imports, for reflection and for tests that walk the contract.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("../generated/descriptor.binpb");
