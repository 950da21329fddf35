//! Compiles the messages of the schema with protox, so that no protoc is needed on the machine.
//! The services over them are built by `proto/services`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=schema");
    let files = std::fs::read_dir("schema")?.map(|file| Ok(file?.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let descriptors = protox::compile(files, ["schema"])?;
    // Without a service generator prost-build leaves services out.
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
