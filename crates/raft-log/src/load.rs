//! Reading the log: whole groups at start, with every check that can refuse a damaged one, and
//! runs of entries later.
//!
//! Invariants checked at load: start ≤ commit ≤ last index; entries follow the start without a
//! gap; terms never fall along the log and never pass the hard state's term; a tombstone is the
//! only record of its group.

use ringkv_consensus::{
    DecodeError, Entry, HardState, LogError, LogIndex, LogPosition, StoredGroup, Term,
};
use ringkv_topology::{GroupId, ReplicaId};
use rocksdb::{DB, DBRawIterator, ReadOptions};

use crate::failure::failure;
use crate::layout::{self, Kind, entry_key, key};

/// Every group, ascending by id. Reads each group's records and the headers of its entries.
pub(crate) fn groups(db: &DB) -> Result<Vec<StoredGroup>, LogError> {
    let mut found = Vec::new();
    for_each_group(db, |group, is_tombstone| {
        if !is_tombstone {
            let stored = load_group(db, group)?;
            check(&stored)?;
            found.push(stored);
        }
        Ok(())
    })?;
    Ok(found)
}

/// See [`ringkv_consensus::LogReader::tombstones`]. Reads one key of each group.
pub(crate) fn tombstones(db: &DB) -> Result<Vec<(GroupId, ReplicaId)>, LogError> {
    let mut found = Vec::new();
    for_each_group(db, |group, _| {
        let replica = record(db, group, Kind::Tombstone, layout::decode_tombstone)?;
        found.extend(replica.map(|replica| (group, replica)));
        Ok(())
    })?;
    Ok(found)
}

/// Calls `visit` with every group of which the log has anything, by one seek each, and whether its
/// first record is a tombstone.
fn for_each_group(
    db: &DB,
    mut visit: impl FnMut(GroupId, bool) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let context = "look for groups in the log";
    let mut next = GroupId(1);
    let mut groups = db.raw_iterator();
    loop {
        groups.seek(key(next, Kind::Genesis));
        let Some(found) = groups.key() else {
            return groups.status().map_err(|e| failure(context, e));
        };
        let group = layout::group_of(found).map_err(|e| failure(context, e))?;
        visit(group, found == key(group, Kind::Tombstone))?;
        next = GroupId(group.0 + 1);
    }
}

/// See [`ringkv_consensus::LogReader::entries`].
pub(crate) fn entries(
    db: &DB,
    group: GroupId,
    from: LogIndex,
    to: LogIndex,
    bytes_max: u64,
) -> Result<Vec<Entry>, LogError> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut iterator = entries_from(db, group, from, to);
    for index in from.0..to.0 {
        let Some((found_key, value)) = iterator.item() else {
            break;
        };
        if found_key != entry_key(group, LogIndex(index)) {
            break;
        }
        let context = || format!("read entry {index} of group {group}");
        let entry = layout::decode_entry(found_key, value).map_err(|e| failure(context(), e))?;
        bytes += entry.data.len() as u64;
        if !found.is_empty() && bytes > bytes_max {
            break;
        }
        found.push(entry);
        iterator.next();
    }
    iterator.status().map_err(|e| failure(format!("read entries of group {group}"), e))?;
    if found.is_empty() {
        let context = format!("read group {group}: entry {from} is not in the log");
        return Err(LogError { context, source: None });
    }
    Ok(found)
}

/// An iterator at the first entry from `from` on, ending before `to`.
fn entries_from(db: &DB, group: GroupId, from: LogIndex, to: LogIndex) -> DBRawIterator<'_> {
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(entry_key(group, to));
    // Each entry is read at most once by a follower far behind: not worth the cache.
    options.fill_cache(false);
    let mut iterator = db.raw_iterator_opt(options);
    iterator.seek(entry_key(group, from));
    iterator
}

fn load_group(db: &DB, group: GroupId) -> Result<StoredGroup, LogError> {
    if let Some(replica) = record(db, group, Kind::Tombstone, layout::decode_tombstone)? {
        return Err(refusal(
            group,
            format!("replica {replica} of it was destroyed, but has records"),
        ));
    }
    let genesis =
        record(db, group, Kind::Genesis, |key, value| layout::decode_genesis(group, key, value))?;
    let Some(genesis) = genesis else {
        let context = format!("load group {group}: it has records but no genesis");
        return Err(LogError { context, source: None });
    };
    let hard_state = record(db, group, Kind::HardState, layout::decode_hard_state)?;
    let start = record(db, group, Kind::Start, layout::decode_start)?.unwrap_or_default();
    let install = record(db, group, Kind::Install, layout::decode_install)?;
    let (last_index, runs) = scan(db, group, start)?;
    let hard_state = hard_state.unwrap_or_default();
    Ok(StoredGroup { genesis, hard_state, start, last_index, runs, install })
}

fn record<T>(
    db: &DB,
    group: GroupId,
    kind: Kind,
    decode: impl FnOnce(&[u8], &[u8]) -> Result<T, DecodeError>,
) -> Result<Option<T>, LogError> {
    let key = key(group, kind);
    let context = || format!("load group {group}: read its {kind:?} record");
    let value = db.get_pinned(key).map_err(|e| failure(context(), e))?;
    value.map(|value| decode(&key, &value)).transpose().map_err(|e| failure(context(), e))
}

/// The last index and the runs of terms, from keys and headers alone.
fn scan(
    db: &DB,
    group: GroupId,
    start: LogPosition,
) -> Result<(LogIndex, Vec<LogPosition>), LogError> {
    let mut last = start;
    let mut runs = vec![start];
    let context = || format!("load group {group}: read its entries");
    let mut iterator = entries_from(db, group, start.index.next(), LogIndex::MAX);
    while let Some((key, value)) = iterator.item() {
        let index = layout::index_of(key).map_err(|e| failure(context(), e))?;
        let term = layout::entry_term(value).map_err(|e| failure(context(), e))?;
        if index != last.index.next() {
            return Err(refusal(
                group,
                format!("entries {} to {index} are missing", last.index.next()),
            ));
        }
        let position = LogPosition { term, index };
        if term != last.term {
            if term < last.term {
                return Err(refusal(group, format!("the term falls at entry {index}")));
            }
            runs.push(position);
        }
        last = position;
        iterator.next();
    }
    iterator.status().map_err(|e| failure(context(), e))?;
    Ok((last.index, runs))
}

fn check(stored: &StoredGroup) -> Result<(), LogError> {
    let group = stored.genesis.group;
    let HardState { term, commit, .. } = stored.hard_state;
    let (start, last) = (stored.start.index, stored.last_index);
    if commit < start {
        let what = format!("it is cut at {start}, past its commit index {commit}");
        return Err(refusal(group, what));
    }
    if commit > last {
        let what = format!("it ends at entry {last}, before its commit index {commit}");
        return Err(refusal(group, what));
    }
    let last_term = stored.runs.last().map_or(Term::ZERO, |run| run.term);
    if last_term > term {
        let what = format!("it holds entries of term {last_term}, past its own term {term}");
        return Err(refusal(group, what));
    }
    Ok(())
}

fn refusal(group: GroupId, what: String) -> LogError {
    let context = format!("the log of group {group} contradicts itself: {what}");
    LogError { context, source: None }
}
