//! Pure. Which requests are traced.
//!
//! The six samplers of `OTEL_TRACES_SAMPLER`. The SDK has the same, but its own take an allocated
//! context to decide on, for every request that is not traced too.

use opentelemetry::TraceId;
use opentelemetry::trace::SpanContext;

/// Decides by the request's parent, if it has one to follow, or else by a share of all traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sampler {
    follows_parent: bool,
    /// Traces whose lower 63 bits are below it are sampled: the same ones in every process.
    below: u64,
}

impl Sampler {
    /// `share` of all traces, 0 to 1; with `follows_parent` only of those that begin here.
    pub(super) fn new(share: f64, follows_parent: bool) -> Self {
        // 2^63 is exact as a float, and the product of it and at most 1 fits.
        let below = (share.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
        Self { follows_parent, below }
    }

    /// Whether a request in this trace is traced.
    pub(super) fn samples(&self, trace: TraceId, parent: Option<&SpanContext>) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.is_sampled(),
            _ => {
                let bytes = trace.to_bytes();
                let lower = bytes[8..].try_into().map_or(0, u64::from_be_bytes);
                lower >> 1 < self.below
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TraceState;
    use opentelemetry::{SpanId, TraceFlags};

    fn parent(sampled: bool) -> SpanContext {
        let flags = TraceFlags::default().with_sampled(sampled);
        SpanContext::new(TraceId::from(1), SpanId::from(1), flags, true, TraceState::NONE)
    }

    #[test]
    fn a_parent_decides_for_those_who_follow_it() {
        for share in [0.0, 1.0] {
            let sampler = Sampler::new(share, true);
            assert!(sampler.samples(TraceId::from(1), Some(&parent(true))));
            assert!(!sampler.samples(TraceId::from(1), Some(&parent(false))));
            assert_eq!(sampler.samples(TraceId::from(1), None), share == 1.0);
            let alone = Sampler::new(share, false);
            assert_eq!(alone.samples(TraceId::from(1), Some(&parent(share == 0.0))), share == 1.0);
        }
    }

    #[test]
    fn a_share_is_kept_and_every_process_takes_the_same() {
        let (tenth, fifth) = (Sampler::new(0.1, false), Sampler::new(0.2, false));
        let traces: Vec<TraceId> = (0..10_000).map(|_| super::super::new_trace_id()).collect();
        let taken = |sampler: Sampler| traces.iter().filter(move |t| sampler.samples(**t, None));
        assert!((800..1200).contains(&taken(tenth).count()));
        assert!(taken(tenth).all(|trace| fifth.samples(*trace, None)));
        assert_eq!(taken(Sampler::new(1.0, false)).count(), 10_000);
        assert_eq!(taken(Sampler::new(0.0, false)).count(), 0);
    }
}
