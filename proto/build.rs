//! Compiles the messages of the schema with protox, so that no protoc is needed on the machine.
//! The services over them are built by `proto/services`.

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
    println!("cargo:rerun-if-changed=schema");
    let files = FILES.map(|name| format!("schema/{name}.proto"));
    let descriptors = protox::compile(files, ["schema"])?;
    // Without a service generator prost-build leaves services out.
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
