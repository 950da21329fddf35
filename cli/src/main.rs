//! Thin start of the `ringkv` command; everything is in the library.

use std::process::ExitCode;

/// The services that `dev` and `node start` run are measured with it: the same here.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure =
                ringkv_cli::Failure::new(ringkv_cli::Exit::NotApplied, error.to_string(), "");
            failure.print();
            return failure.exit.into();
        }
    };
    let code = runtime.block_on(ringkv_cli::main());
    // The command is done: a task that still blocks must not keep the process alive.
    runtime.shutdown_background();
    code
}
