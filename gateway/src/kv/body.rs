//! Takes a request body in, within the bounds of one value, of all bodies together, and of time.
//!
//! A declared length is checked before a byte is read; an undeclared or wrong one while reading.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use ringkv_budget::Share;
use ringkv_client::ErrorKind;

use crate::metrics::{Metrics, Shed};
use crate::problem::Problem;

/// How much of a refused body is still read. A sender may not look at the answer before it has sent
/// everything; without this it would see a reset connection.
const DRAIN_BYTES_MAX: usize = 16 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The whole body, of at most `max` bytes; `share` grows by what is held.
pub(super) async fn read(
    mut body: Incoming,
    max: u64,
    timeout: Duration,
    share: &mut Share<'_>,
    metrics: &Metrics,
) -> Result<Bytes, Problem> {
    let declared = body.size_hint().lower();
    let refused = if declared > max {
        too_large(max)
    } else if !share.grow(usize::try_from(declared).unwrap_or(usize::MAX)) {
        overloaded(metrics)
    } else {
        let collected = collect(&mut body, declared, max, share);
        match tokio::time::timeout(timeout, collected).await {
            Ok(Ok(value)) => {
                metrics.value_in(value.len());
                return Ok(value);
            }
            Ok(Err(Cut::Ended)) => return Err(incomplete()),
            Err(_) => return Err(too_slow(timeout)),
            Ok(Err(Cut::TooLarge)) => too_large(max),
            Ok(Err(Cut::NoRoom)) => overloaded(metrics),
        }
    };
    tokio::spawn(tokio::time::timeout(DRAIN_TIMEOUT, drain(body)));
    Err(refused)
}

/// Why a body was not taken in.
enum Cut {
    TooLarge,
    NoRoom,
    /// The sender is gone.
    Ended,
}

async fn collect(
    body: &mut Incoming,
    declared: u64,
    max: u64,
    share: &mut Share<'_>,
) -> Result<Bytes, Cut> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Cut::Ended)?;
        let Ok(data) = frame.into_data() else { continue };
        let held = first.len() + rest.len() + data.len();
        if held as u64 > max {
            return Err(Cut::TooLarge);
        }
        if !share.grow(held.saturating_sub(share.amount())) {
            return Err(Cut::NoRoom);
        }
        if held == data.len() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            // The rest of a declared body goes in without growing; `declared` is within `max`.
            rest.reserve(usize::try_from(declared).unwrap_or(0).max(held));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&data);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

async fn drain(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DRAIN_BYTES_MAX {
            return;
        }
    }
}

fn too_large(max: u64) -> Problem {
    let detail = format!("the value has more than {max} bytes");
    Problem::new(ErrorKind::ValueTooLarge, detail).with_limit(max)
}

fn overloaded(metrics: &Metrics) -> Problem {
    metrics.shed(Shed::BodyBytes);
    Problem::new(
        ErrorKind::Overloaded,
        "the bodies of open requests use all the memory that is allowed for them",
    )
}

fn too_slow(timeout: Duration) -> Problem {
    let detail = format!("the body must arrive within {} ms", timeout.as_millis());
    Problem::new(ErrorKind::BodyTooSlow, detail).closing()
}

fn incomplete() -> Problem {
    Problem::new(ErrorKind::BodyIncomplete, "the connection ended before the whole body").closing()
}
