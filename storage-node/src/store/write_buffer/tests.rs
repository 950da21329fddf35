//! The buffer alone, with moves that the test holds up, fails or records.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

type Rows = BTreeMap<Bytes, Option<Bytes>>;

fn write(key: &str, value: &str) -> Write {
    let value = (!value.is_empty()).then(|| Bytes::copy_from_slice(value.as_bytes()));
    Write { key: Bytes::copy_from_slice(key.as_bytes()), value }
}

fn owned(rows: &SortedRows<'_>) -> Vec<(Bytes, Option<Bytes>)> {
    rows.iter().map(|(key, value)| ((*key).clone(), (*value).clone())).collect()
}

/// A buffer that closes a run with every batch, and whose moves wait: each tells that it has
/// begun, and ends when it is let go.
fn held_up() -> (WriteBuffer, Receiver<()>, SyncSender<Result<(), StoreError>>) {
    let (begun, begins) = sync_channel(64);
    let (release, released) = sync_channel(64);
    let buffer = WriteBuffer::start(1, move |_| {
        let _ = begun.send(());
        released.recv().unwrap_or(Ok(()))
    });
    (buffer.unwrap(), begins, release)
}

#[test]
fn a_row_is_found_until_its_run_has_been_moved() {
    let (buffer, begins, release) = held_up();
    buffer.write(vec![write("a", "1"), write("b", "")]).unwrap();
    begins.recv().unwrap();
    assert_eq!(buffer.get(b"a"), Some(Some(Bytes::from_static(b"1"))));
    assert_eq!(buffer.get(b"b"), Some(None), "dropped, which is not the same as not here");
    assert_eq!(buffer.get(b"c"), None);
    release.send(Ok(())).unwrap();
    buffer.drain().unwrap();
    assert_eq!((buffer.get(b"a"), buffer.get(b"b")), (None, None));
    assert_eq!(buffer.bytes(), 0);
}

#[test]
fn a_writer_that_is_two_runs_ahead_waits() {
    let (buffer, begins, release) = held_up();
    let (progress, written) = sync_channel(64);
    let writer = std::thread::spawn(move || {
        for number in 0..3 {
            buffer.write(vec![write(&number.to_string(), "v")]).unwrap();
            progress.send(number).unwrap();
        }
    });
    begins.recv().unwrap();
    assert_eq!(written.recv(), Ok(0));
    assert!(written.recv_timeout(Duration::from_millis(200)).is_err(), "it has to wait");
    release.send(Ok(())).unwrap();
    assert_eq!(written.recv(), Ok(1));
    drop(release);
    writer.join().unwrap();
    assert_eq!(written.recv(), Ok(2));
}

#[test]
fn a_run_that_cannot_be_moved_fails_every_later_write() {
    let (buffer, begins, release) = held_up();
    buffer.write(vec![write("a", "1")]).unwrap();
    begins.recv().unwrap();
    release.send(Err(StoreError::failed("write rows", "the disk is gone"))).unwrap();
    let error = buffer.drain().unwrap_err();
    assert!(format!("{:#}", anyhow::Error::new(error)).contains("the disk is gone"));
    assert!(buffer.write(vec![write("b", "1")]).is_err());
}

#[test]
fn nobody_waits_for_a_mover_that_panicked() {
    let buffer = WriteBuffer::start(1, |_| panic!("on purpose")).unwrap();
    buffer.write(vec![write("a", "1")]).unwrap();
    let error = format!("{:#}", anyhow::Error::new(buffer.drain().unwrap_err()));
    assert!(error.contains("has ended"), "{error}");
}

#[test]
fn what_is_left_is_moved_at_the_end() {
    let (moved, runs) = sync_channel(64);
    let put = move |rows: &SortedRows<'_>| {
        moved.send(owned(rows)).unwrap();
        Ok(())
    };
    let buffer = WriteBuffer::start(usize::MAX, put).unwrap();
    buffer.write(vec![write("b", "1"), write("a", "2"), write("b", "")]).unwrap();
    drop(buffer);
    let a = (Bytes::from_static(b"a"), Some(Bytes::from_static(b"2")));
    let b = (Bytes::from_static(b"b"), None);
    assert_eq!(runs.iter().collect::<Vec<_>>(), [vec![a, b]], "sorted, the last write of each");
}

proptest! {
    #[test]
    fn every_run_ends_between_two_batches(
        batches in prop::collection::vec(
            prop::collection::vec((0u8..6, prop::option::of(0u8..9)), 0..5), 0..20),
        run_bytes_max in 1usize..2_000,
    ) {
        let (moved, runs) = sync_channel(64);
        let put = move |rows: &SortedRows<'_>| {
            moved.send(owned(rows)).unwrap();
            Ok(())
        };
        let buffer = WriteBuffer::start(run_bytes_max, put).unwrap();
        let mut states: Vec<Rows> = vec![Rows::new()];
        for batch in &batches {
            let row = |(key, value): &(u8, Option<u8>)| Write {
                key: Bytes::copy_from_slice(&[*key]),
                value: value.map(|value| Bytes::copy_from_slice(&[value])),
            };
            buffer.write(batch.iter().map(row).collect()).unwrap();
            let mut state = states[states.len() - 1].clone();
            state.extend(batch.iter().map(row).map(|write| (write.key, write.value)));
            states.push(state);
        }
        drop(buffer);
        let (mut state, mut at) = (Rows::new(), 0);
        for run in runs {
            prop_assert!(run.is_sorted_by(|a, b| a.0 < b.0));
            state.extend(run);
            let found = states[at..].iter().position(|between| *between == state);
            at += found.expect("the state between two batches, later than the last");
        }
        prop_assert_eq!(&state, &states[states.len() - 1]);
    }
}
