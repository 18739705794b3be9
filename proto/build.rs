//! Compiles the protos with protox, so that nobody needs a protoc.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: [&str; 3] = [
    "tidegate/v1/transfer_service.proto",
    "tidegate/v1/event_service.proto",
    "tidegate/v1/connection_service.proto",
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
        .compile_fds(descriptors)?;
    Ok(())
}
