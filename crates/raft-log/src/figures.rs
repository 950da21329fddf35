//! Numbers that RocksDB reports of itself, by its own names.
//!
//! Two kinds: properties, read from its state, and tickers, counted from when it was opened.

use rocksdb::statistics::{StatsLevel, Ticker};
use rocksdb::{DB, Options};

/// Has a database that is opened with `options` count its tickers. Each core adds to counters of
/// its own; no clock is read and no histogram kept.
pub fn count_tickers(options: &mut Options) {
    options.enable_statistics();
    options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
}

/// The ticker or numeric property `name`; `None` when RocksDB knows neither. `options` are those
/// that `db` was opened with.
pub fn rocks_figure(db: &DB, options: &Options, name: &str) -> Option<u64> {
    match name.parse::<Ticker>() {
        Ok(ticker) => Some(options.get_ticker_count(ticker)),
        Err(_) => db.property_value(name).ok()??.parse().ok(),
    }
}
