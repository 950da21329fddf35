//! What the live check must not find in a healthy cluster, each with its reason. Short lists: an
//! entry is a promise that somebody has thought about it.

/// A name and why it is listed.
pub(super) type Exception = (&'static str, &'static str);

/// The reason for a name, when it is listed.
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
    &[("code=~\"5..\"", "a status has a series only once it was given")];

/// Alerts whose condition is the speed or the disk of the machine that runs the check, not the
/// product's health: they may be pending, since none of them can fire within the check's time.
pub(super) const PENDING: &[Exception] = &[
    ("RingkvRequestsSlow", "depends on the machine"),
    ("RingkvFsyncSlow", "depends on the machine"),
    ("RingkvNodeSlowerThanOthers", "depends on the machine"),
    ("RingkvDiskAlmostFull", "depends on the machine"),
    ("RingkvDiskFullSoon", "depends on the machine"),
];

/// Metrics of docs/metrics.md that nothing exports before something has gone wrong.
pub(super) const ABSENT: &[Exception] = &[];
