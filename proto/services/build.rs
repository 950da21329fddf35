//! Compiles the services of the schema with protox, so that no protoc is needed on the machine.

use std::path::PathBuf;

const SCHEMA: &str = "../schema";

const FILES: [&str; 8] = [
    "kv",
    "raft",
    "operations",
    "placement",
    "cluster_status",
    "placement_peers",
    "placement_admin",
    "admin",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={SCHEMA}");
    let files = FILES.map(|name| format!("{SCHEMA}/{name}.proto"));
    let descriptors = protox::compile(files, [SCHEMA])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(
        out.join("descriptors.bin"),
        protox::prost::Message::encode_to_vec(&descriptors),
    )?;
    // The messages exist once, in ringkv-proto.
    tonic_prost_build::configure()
        .extern_path(".ringkv.v1", "::ringkv_proto::v1")
        .compile_fds(descriptors)?;
    Ok(())
}
