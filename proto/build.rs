//! Compiles the protos with protox, so that nobody needs a protoc.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 4] = [
    "tidegate/v1/transfer_service.proto",
    "tidegate/v1/event_service.proto",
    "tidegate/v1/connection_service.proto",
    "tidegate/v1/credential_service.proto",
];

/// Messages that hold a token or a session code: `Debug` is written by hand, so that no log shows it.
const SECRET: [&str; 6] = [
    "tidegate.v1.CreateCredentialResponse",
    "tidegate.v1.RotateCredentialResponse",
    "tidegate.v1.RotateConnectionTokenResponse",
    "tidegate.v1.CreateSessionResponse",
    "tidegate.v1.RedeemSessionRequest",
    "tidegate.v1.RedeemSessionResponse",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Neither protox nor prost-build prints this, and edits would be missed.
    println!("cargo::rerun-if-changed=tidegate");
    let descriptors = protox::compile(PROTOS, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Ordered maps make the encoding of equal messages equal; request digests need that.
        .btree_map(".")
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}
