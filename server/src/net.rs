//! Connections below gRPC: their TLS, and where they come from.

pub mod origin;
pub mod tls;
