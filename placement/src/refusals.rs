//! Counts the registrations of storage nodes that were refused, by reason.

use prometheus::core::Collector;
use prometheus::{IntCounterVec, Opts};
use ringkv_services::{NodeRefusal, REFUSAL_METADATA};
use tonic::{Code, Status};

/// A reason that no node acts on.
const OTHER: &str = "other";

/// The counters; clones share them.
#[derive(Clone)]
pub(crate) struct Refusals {
    counters: IntCounterVec,
}

impl Refusals {
    /// All reasons are shown from the start: an increase is seen with the first refusal.
    ///
    /// # Errors
    /// The name or a label is invalid.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let options = Opts::new(
            "ringkv_placement_registrations_refused_total",
            "Registrations of storage nodes that were refused, by reason.",
        );
        let counters = IntCounterVec::new(options, &["reason"])?;
        let reasons = NodeRefusal::ALL.map(NodeRefusal::name);
        for reason in reasons.into_iter().chain([OTHER]) {
            counters.with_label_values(&[reason]);
        }
        Ok(Self { counters })
    }

    /// Counts a failed registration, unless it only has to be sent to the leader or again.
    pub(crate) fn count(&self, status: &Status) {
        let named = status.metadata().get(REFUSAL_METADATA).and_then(|name| name.to_str().ok());
        let reason = match named.and_then(NodeRefusal::from_name) {
            Some(reason) => reason.name(),
            None if status.code() == Code::FailedPrecondition => OTHER,
            None => return,
        };
        self.counters.with_label_values(&[reason]).inc();
    }

    pub(crate) fn family(&self) -> &dyn Collector {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn refusals_count_by_reason_and_a_hint_to_the_leader_does_not() {
        let refusals = Refusals::new().unwrap();
        let mut copied = Status::unavailable("another process is the node");
        let reason = NodeRefusal::ServedElsewhere.name();
        copied.metadata_mut().insert(REFUSAL_METADATA, MetadataValue::from_static(reason));
        refusals.count(&copied);
        refusals.count(&Status::failed_precondition("too many nodes"));
        refusals.count(&Status::unavailable("the placement leader is elsewhere"));
        let counted = |reason: &str| refusals.counters.with_label_values(&[reason]).get();
        let reasons = ["foreign", "served-elsewhere", "too-early", "directory-outdated", OTHER];
        assert_eq!(reasons.map(counted), [0, 1, 0, 0, 1]);
    }
}
