//! What the live check must not find in a healthy cluster, each entry with its reason. Keep the
//! lists short: every entry needs a reason that a reviewer has checked.

/// A name and why it is listed.
pub(super) type Exception = (&'static str, &'static str);

/// The reason for a name, if it is listed.
pub(super) fn find(list: &[Exception], name: &str) -> Option<&'static str> {
    list.iter().find(|(listed, _)| *listed == name).map(|(_, reason)| *reason)
}

/// Panels and marks, by title, that show nothing.
pub(super) const EMPTY: &[Exception] = &[
    ("Errors by status", "no request fails in health"),
    ("Alerts", "no alert fires in health"),
    ("Restarts", "no process is restarted during the check"),
];

/// Parts of selectors in rules that find no series.
pub(super) const NO_SERIES: &[Exception] =
    &[("code=~\"5..\"", "a status has a series only after its first response")];

/// Alerts whose condition depends on the speed or the disk of the machine that runs the check, not
/// on the health of the cluster. They may be pending: none can fire within the time of the check.
pub(super) const PENDING: &[Exception] = &[
    ("RingkvRequestsSlow", "depends on the machine"),
    ("RingkvFsyncSlow", "depends on the machine"),
    ("RingkvNodeSlowerThanOthers", "depends on the machine"),
    ("RingkvDiskAlmostFull", "depends on the machine"),
    ("RingkvDiskFullSoon", "depends on the machine"),
];

/// Metrics of docs/metrics.md that no service exports before the first failure of their kind.
pub(super) const ABSENT: &[Exception] = &[];
