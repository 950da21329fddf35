//! The network between processes and clients: delay, loss, duplication, reorder, cuts and clogs.
//!
//! Works on whole frames and never decodes them. A cut loses the frames sent during it, in one
//! direction or both; a clog delays them until its end, then all of them arrive.

use std::collections::BTreeMap;

use crate::seed::Stream;
use crate::time::{MILLISECOND, Micros};

/// A sender or receiver: a storage node, a placement replica or a client.
pub(crate) type Endpoint = usize;

/// The rates of one run.
#[derive(Clone, Debug)]
pub(crate) struct NetworkRates {
    /// Usual one-way delay, inclusive.
    pub(crate) delay: (Micros, Micros),
    /// Probability that a frame takes ten to fifty times as long.
    pub(crate) slow: f64,
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    /// Whether a frame may overtake another of the same pair.
    pub(crate) reorder: bool,
    /// Probability that the sender of a lost frame is notified.
    pub(crate) told_of_loss: f64,
}

/// The fate of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// The times at which it arrives: none, one or two.
    pub(crate) arrivals: Vec<Micros>,
    /// Whether the sender is notified of the loss.
    pub(crate) told: bool,
}

/// The state of all links.
pub(crate) struct Network {
    rates: NetworkRates,
    rng: Stream,
    /// Links that lose everything, with the number of active cuts of each.
    cuts: BTreeMap<(Endpoint, Endpoint), u32>,
    clogged_until: BTreeMap<(Endpoint, Endpoint), Micros>,
    last_arrival: BTreeMap<(Endpoint, Endpoint), Micros>,
    calm: bool,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
}

impl Network {
    pub(crate) fn new(rates: NetworkRates, rng: Stream) -> Self {
        Self {
            rates,
            rng,
            cuts: BTreeMap::new(),
            clogged_until: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            calm: false,
            lost: 0,
            duplicated: 0,
        }
    }

    /// Decides the fate of a frame that is sent now.
    pub(crate) fn pass(&mut self, now: Micros, from: Endpoint, to: Endpoint) -> Passage {
        let link = (from, to);
        if self.cuts.contains_key(&link) || (!self.calm && self.rng.chance(self.rates.loss)) {
            self.lost += 1;
            let told = self.rng.chance(self.rates.told_of_loss);
            return Passage { arrivals: Vec::new(), told };
        }
        let mut arrivals = vec![self.arrival(now, link)];
        if !self.calm && self.rng.chance(self.rates.duplication) {
            self.duplicated += 1;
            arrivals.push(self.arrival(now, link));
        }
        Passage { arrivals, told: false }
    }

    fn arrival(&mut self, now: Micros, link: (Endpoint, Endpoint)) -> Micros {
        let (low, high) = self.rates.delay;
        let mut delay = self.rng.between(low, high);
        if !self.calm && self.rng.chance(self.rates.slow) {
            delay = (delay * self.rng.between(10, 50)).max(MILLISECOND);
        }
        let clog = self.clogged_until.get(&link).copied().unwrap_or(0);
        let mut at = now.max(clog) + delay;
        if self.calm || !self.rates.reorder {
            at = at.max(self.last_arrival.get(&link).copied().unwrap_or(0));
            self.last_arrival.insert(link, at);
        }
        at
    }

    /// Loses everything that is sent on these links from now until [`Self::mend`].
    pub(crate) fn cut(&mut self, links: &[(Endpoint, Endpoint)]) {
        for link in links {
            *self.cuts.entry(*link).or_insert(0) += 1;
        }
    }

    /// Ends one cut of these links.
    pub(crate) fn mend(&mut self, links: &[(Endpoint, Endpoint)]) {
        for link in links {
            match self.cuts.get_mut(link) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.cuts.remove(link)),
            }
        }
    }

    /// Delays everything that is sent on these links until the given time.
    pub(crate) fn clog(&mut self, links: &[(Endpoint, Endpoint)], until: Micros) {
        for link in links {
            let clog = self.clogged_until.entry(*link).or_insert(0);
            *clog = until.max(*clog);
        }
    }

    /// Ends every fault permanently: from now on each frame arrives once and in order.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.clogged_until.clear();
        self.calm = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn network(reorder: bool, loss: f64) -> Network {
        let rates = NetworkRates {
            delay: (100, 5_000),
            slow: 0.1,
            loss,
            duplication: 0.0,
            reorder,
            told_of_loss: 1.0,
        };
        Network::new(rates, Seed(1).stream("network", 0))
    }

    fn arrivals(network: &mut Network) -> Vec<Micros> {
        (0..100).flat_map(|i| network.pass(i * 10, 0, 1).arrivals).collect()
    }

    #[test]
    fn without_reorder_frames_arrive_in_the_order_sent() {
        assert!(arrivals(&mut network(false, 0.0)).is_sorted());
        assert!(!arrivals(&mut network(true, 0.0)).is_sorted());
    }

    #[test]
    fn a_cut_loses_one_direction_until_the_last_cut_is_mended() {
        let mut network = network(false, 0.0);
        network.cut(&[(0, 1)]);
        network.cut(&[(0, 1)]);
        assert_eq!(network.pass(0, 0, 1), Passage { arrivals: vec![], told: true });
        assert_eq!(network.pass(0, 1, 0).arrivals.len(), 1);
        network.mend(&[(0, 1)]);
        assert!(network.pass(0, 0, 1).arrivals.is_empty());
        network.mend(&[(0, 1)]);
        assert_eq!(network.pass(0, 0, 1).arrivals.len(), 1);
    }

    #[test]
    fn a_clog_delays_but_loses_nothing() {
        let mut network = network(false, 0.0);
        network.clog(&[(0, 1)], 1_000_000);
        assert!(arrivals(&mut network).iter().all(|at| *at >= 1_000_000));
    }

    #[test]
    fn healing_ends_loss() {
        let mut network = network(true, 1.0);
        assert!(arrivals(&mut network).is_empty());
        network.heal();
        assert_eq!(arrivals(&mut network).len(), 100);
    }
}
