//! Writes `proto/generated/` anew. With `--check` it writes nothing and fails when that would have changed a file.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use prost::Message as _;

const PROTOS: [&str; 5] = [
    "tidegate/v1/transfer_service.proto",
    "tidegate/v1/event_service.proto",
    "tidegate/v1/connection_service.proto",
    "tidegate/v1/credential_service.proto",
    "tidegate/v1/bulk_service.proto",
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

fn main() -> anyhow::Result<()> {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(other) => bail!("{other}: the one argument is --check"),
    };
    let proto = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folder = proto.join("generated");
    for (name, bytes) in generate(proto)? {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|present| present == bytes) {
            continue;
        }
        if check {
            bail!("proto/generated/{name} is not what the .proto files say: run scripts/generate");
        }
        fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        eprintln!("proto/generated/{name} is written");
    }
    Ok(())
}

/// The files by name.
fn generate(proto: &Path) -> anyhow::Result<[(&'static str, Vec<u8>); 2]> {
    let descriptors = protox::compile(PROTOS, [proto])?;
    let image = descriptors.encode_to_vec();
    let folder = tempfile::tempdir()?;
    tonic_prost_build::configure()
        .out_dir(folder.path())
        // Ordered maps make the encoding of equal messages equal; request digests need that.
        .btree_map(".")
        .skip_debug(SECRET)
        // Who only calls compiles no servers.
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    let code = "tidegate.v1.rs";
    let text = fs::read(folder.path().join(code))?;
    Ok([(code, text), ("descriptor.binpb", image)])
}
