//! Compiles the services of the schema with protox, so that no protoc is needed on the machine.

use std::path::PathBuf;

const SCHEMA: &str = "../schema";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={SCHEMA}");
    let files = std::fs::read_dir(SCHEMA)?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
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
