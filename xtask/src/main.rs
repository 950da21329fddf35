//! The project's own tasks, run as `cargo xtask <task>`.
//!
//! Owns the checks of the source tree (`tidy`) and of what is compiled (`features`), the start of
//! the simulation (`simulate`), the container tests (`containers`), the boards and rules
//! (`dashboards`), the runs of the k6 scripts (`loadtests`) and the comparison with etcd (`bench
//! quick`). Depends on none of the project's crates but `ringkv-features`, which has no code, so
//! that it runs while they do not compile.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program's output")]

mod bench;
mod cluster;
mod containers;
mod dashboards;
mod features;
mod http;
mod loadtests;
mod ports;
mod process;
mod simulate;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the ringkv source tree")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check what the compiler does not: headers, file lengths, imports between crates, paths in
    /// ARCHITECTURE.md, plain English, banned words
    Tidy(tidy::Arguments),
    /// Check that no dependency is compiled again for one package alone
    Features,
    /// Run the whole system in one thread from seeds
    Simulate(simulate::Arguments),
    /// Test the compose cluster with the programs built before
    Containers(containers::Arguments),
    /// Run the k6 scripts against a cluster of the programs built before
    Loadtests(loadtests::Arguments),
    /// Write, check and draw the Grafana boards and the Prometheus rules
    Dashboards(dashboards::Arguments),
    /// Measure against other stores on this machine
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Features => features::run(),
        Task::Simulate(arguments) => simulate::run(&arguments),
        Task::Containers(arguments) => containers::run(&arguments),
        Task::Loadtests(arguments) => loadtests::run(&arguments),
        Task::Dashboards(arguments) => dashboards::run(arguments),
        Task::Bench(arguments) => bench::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
