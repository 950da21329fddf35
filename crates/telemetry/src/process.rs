//! What the process uses: CPU, memory, threads and files, read from /proc at each scrape.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Registry};

use crate::logging;

/// Adds the `process_*` series under the names Prometheus's own libraries use.
///
/// # Errors
/// A name is taken in this registry.
pub fn register(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(Process::new()?))
}

struct Process {
    cpu_seconds: Counter,
    resident_bytes: Gauge,
    threads: Gauge,
    open_fds: Gauge,
    log_lines_dropped: Counter,
}

impl Process {
    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            cpu_seconds: Counter::new(
                "process_cpu_seconds_total",
                "User and system CPU time spent, in seconds.",
            )?,
            resident_bytes: Gauge::new(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            threads: Gauge::new("process_threads", "Number of threads.")?,
            open_fds: Gauge::new("process_open_fds", "Number of open file descriptors.")?,
            log_lines_dropped: Counter::new(
                "ringkv_log_lines_dropped_total",
                "Log lines dropped because stderr was read too slowly.",
            )?,
        })
    }

    /// A value that cannot be read keeps its last one: a scrape never fails for it.
    fn refresh(&self) {
        if let Some((cpu_seconds, threads)) = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|stat| parse_stat(&stat, rustix::param::clock_ticks_per_second()))
        {
            advance(&self.cpu_seconds, cpu_seconds);
            self.threads.set(threads);
        }
        if let Some(pages) = fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|statm| statm.split(' ').nth(1)?.parse::<u64>().ok())
        {
            self.resident_bytes.set((pages * rustix::param::page_size() as u64) as f64);
        }
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            // The directory itself is open while it is read.
            self.open_fds.set(fds.count().saturating_sub(1) as f64);
        }
        advance(&self.log_lines_dropped, logging::dropped_lines() as f64);
    }
}

/// Brings a counter to a total kept elsewhere. Two scrapes at once may add twice the little that
/// came between them, which the next scrape takes back by adding nothing.
fn advance(counter: &Counter, total: f64) {
    let added = total - counter.get();
    if added > 0.0 {
        counter.inc_by(added);
    }
}

/// CPU seconds and number of threads from /proc/PID/stat (proc(5), fields 14, 15 and 20).
fn parse_stat(stat: &str, ticks_per_second: u64) -> Option<(f64, f64)> {
    // The command name in parentheses may hold spaces and parentheses: begin after its end.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = number(14)? + number(15)?;
    Some((ticks as f64 / ticks_per_second as f64, number(20)? as f64))
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        [
            self.cpu_seconds.desc(),
            self.resident_bytes.desc(),
            self.threads.desc(),
            self.open_fds.desc(),
            self.log_lines_dropped.desc(),
        ]
        .concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        [
            self.cpu_seconds.collect(),
            self.resident_bytes.collect(),
            self.threads.collect(),
            self.open_fds.collect(),
            self.log_lines_dropped.collect(),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_command_name_with_parentheses() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 7 0 99 1 2";
        assert_eq!(parse_stat(stat, 100), Some((2.0, 7.0)));
        assert_eq!(parse_stat("42 (short) S 1", 100), None);
    }

    #[test]
    fn this_process_uses_memory_and_threads() {
        let process = Process::new().unwrap();
        process.refresh();
        assert!(process.resident_bytes.get() > 4096.0);
        assert!(process.threads.get() >= 1.0);
        assert!(process.open_fds.get() >= 1.0);
    }
}
