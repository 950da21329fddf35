//! How long a group remembers the results of requests. Part of what all replicas must agree on.

/// How long results of one kind of request id are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// By the group clock, milliseconds. Past it a retry is a new request.
    pub kept_ms: u64,
    /// What is promised even when three quarters of `count_max` are in use.
    pub kept_under_pressure_ms: u64,
    /// The most results a group remembers; beyond it writes are answered `Busy`.
    pub count_max: usize,
}

/// How long results are remembered. Part of what every replica must agree on: a change of the
/// defaults is a change of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For request ids made by gateways, which retry within seconds.
    pub gateway: Keep,
    /// For request ids chosen by users.
    pub user: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        let count_max = 262_144;
        Self {
            gateway: Keep { kept_ms: 60_000, kept_under_pressure_ms: 15_000, count_max },
            user: Keep { kept_ms: 3_600_000, kept_under_pressure_ms: 600_000, count_max },
        }
    }
}
