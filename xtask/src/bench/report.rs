//! The closing table: every round, the medians, and the ratios of ringkv to etcd.

use std::fmt;

use super::store::Operation;

/// One measured run.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) round: u64,
    pub(crate) store: &'static str,
    pub(crate) operation: Operation,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// CPU seconds of all server processes for 100,000 operations.
    pub(crate) cpu_s_per_100k: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>5}  {:<6}  {}  {:>9.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  {:>6.2} CPU s/100k",
            self.round + 1,
            self.store,
            self.operation.name(),
            self.per_second,
            self.p50_ms,
            self.p99_ms,
            self.cpu_s_per_100k,
        )
    }
}

/// The counted sync calls of one store.
pub(crate) struct Syncs {
    pub(crate) store: &'static str,
    pub(crate) calls: u64,
    pub(crate) puts: usize,
}

/// Prints the table to standard output, ratios last.
pub(crate) fn print(rows: &[Row], syncs: &[Syncs]) {
    println!("\nround  store   op   (closed loop; compare within this run only)");
    for row in rows {
        println!("{row}");
    }
    println!();
    for count in syncs {
        println!(
            "{:<6}  {} fsync and fdatasync calls of all servers for {} acknowledged PUTs \
             ({:.3} each), traced",
            count.store,
            count.calls,
            count.puts,
            count.calls as f64 / count.puts.max(1) as f64,
        );
    }
    println!();
    for operation in [Operation::Put, Operation::Get] {
        if let Some(line) = ratio_line(rows, operation) {
            println!("{line}");
        }
    }
}

fn ratio_line(rows: &[Row], operation: Operation) -> Option<String> {
    let rate = ratios(rows, operation, |row| row.per_second);
    let p99 = ratios(rows, operation, |row| row.p99_ms);
    let cpu = ratios(rows, operation, |row| row.cpu_s_per_100k);
    Some(format!(
        "ringkv / etcd, {}, median of the rounds' ratios: {:.2}x operations/s, {:.2}x p99, \
         {:.2}x CPU",
        operation.name(),
        median(rate)?,
        median(p99)?,
        median(cpu)?,
    ))
}

/// ringkv divided by etcd, for each round that has both.
fn ratios(rows: &[Row], operation: Operation, of: impl Fn(&Row) -> f64) -> Vec<f64> {
    let find = |store: &str, round: u64| {
        rows.iter().find(|r| r.store == store && r.round == round && r.operation == operation)
    };
    let last = rows.iter().map(|row| row.round).max().unwrap_or(0);
    (0..=last)
        .filter_map(|round| Some(of(find("ringkv", round)?) / of(find("etcd", round)?)))
        .collect()
}

/// The median; for an even number of values the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Row, median, ratios};

    fn row(store: &'static str, round: u64, per_second: f64) -> Row {
        let operation = Operation::Put;
        Row { round, store, operation, per_second, p50_ms: 1.0, p99_ms: 1.0, cpu_s_per_100k: 1.0 }
    }

    #[test]
    fn a_ratio_never_mixes_rounds() {
        let rows = [row("ringkv", 0, 30.0), row("etcd", 0, 10.0), row("ringkv", 1, 50.0)];
        assert_eq!(ratios(&rows, Operation::Put, |row| row.per_second), [3.0]);
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
    }
}
