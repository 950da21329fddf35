//! Linearizable read points: which reads wait for what.
//!
//! A read passes three gates: a read-index round with a quorum that began after it was asked for,
//! the commit index of that round, and the state machine having applied up to there. At most one
//! round of a group is under way; reads that arrive meanwhile share the next one (as commits share
//! an fsync). Each round has an id never used before, also not in an earlier run of the process,
//! and every wait ends when the role or the term changes (pitfall 6, Raft §6.4).

use crate::position::LogIndex;
use crate::types::Ticket;

/// The reads of one group.
#[derive(Default)]
pub(crate) struct Reads {
    /// Makes round ids of this run of the process differ from those of any other.
    seed: u64,
    rounds: u64,
    /// Not in a round yet.
    waiting: Vec<Ticket>,
    round: Option<Round>,
    /// Confirmed, waiting for apply; ascending by index.
    confirmed: Vec<(LogIndex, Vec<Ticket>)>,
}

struct Round {
    id: RoundId,
    began_us: u64,
    tickets: Vec<Ticket>,
}

/// The id of a round: the seed of the process, then a counter.
pub(crate) type RoundId = [u8; 16];

impl Reads {
    /// `seed` differs from one run of the process to the next.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    pub(crate) fn push(&mut self, ticket: Ticket) {
        self.waiting.push(ticket);
    }

    /// Whether a round could begin.
    pub(crate) fn wants_round(&self) -> bool {
        self.round.is_none() && !self.waiting.is_empty()
    }

    /// Puts all waiting reads into a round that begins now, under an id never used before.
    pub(crate) fn begin(&mut self, began_us: u64) -> RoundId {
        assert!(self.round.is_none(), "one round at a time");
        self.rounds += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.seed.to_le_bytes());
        id[8..].copy_from_slice(&self.rounds.to_le_bytes());
        self.round = Some(Round { id, began_us, tickets: std::mem::take(&mut self.waiting) });
        id
    }

    /// The round could not begin: its reads wait on.
    pub(crate) fn cancel(&mut self) {
        if let Some(mut round) = self.round.take() {
            round.tickets.append(&mut self.waiting);
            self.waiting = round.tickets;
        }
    }

    /// A quorum confirmed the round with this id: returns when it began. An answer to any other
    /// round is dropped.
    pub(crate) fn confirm(&mut self, id: &[u8], index: LogIndex) -> Option<u64> {
        let round = self.round.take_if(|round| round.id == id)?;
        self.confirmed.push((index, round.tickets));
        Some(round.began_us)
    }

    /// The reads that may be served now that the state machine is at `applied`.
    pub(crate) fn ready(&mut self, applied: LogIndex) -> Vec<Ticket> {
        let served = self.confirmed.partition_point(|(index, _)| *index <= applied);
        self.confirmed.drain(..served).flat_map(|(_, tickets)| tickets).collect()
    }

    /// Ends every wait: role or term changed.
    pub(crate) fn take_all(&mut self) -> Vec<Ticket> {
        let round = self.round.take().map(|round| round.tickets).unwrap_or_default();
        let confirmed = std::mem::take(&mut self.confirmed).into_iter().flat_map(|(_, t)| t);
        confirmed.chain(round).chain(std::mem::take(&mut self.waiting)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SinkId;

    fn ticket(id: u64) -> Ticket {
        Ticket { sink: SinkId(1), id }
    }

    #[test]
    fn a_read_is_ready_only_after_its_round_and_its_index() {
        let mut reads = Reads::default();
        reads.push(ticket(1));
        let first = reads.begin(5);
        assert_eq!(reads.ready(LogIndex(100)), []);
        assert_eq!(reads.confirm(&first, LogIndex(7)), Some(5));
        assert_eq!(reads.ready(LogIndex(6)), []);
        assert_eq!(reads.ready(LogIndex(7)), [ticket(1)]);
        assert_eq!(reads.ready(LogIndex(8)), []);
    }

    #[test]
    fn a_read_asked_for_during_a_round_waits_for_the_next() {
        let mut reads = Reads::default();
        reads.push(ticket(1));
        let first = reads.begin(5);
        reads.push(ticket(2));
        assert!(!reads.wants_round());
        assert_eq!(reads.confirm(&first, LogIndex(5)), Some(5));
        assert_eq!(reads.ready(LogIndex(9)), [ticket(1)]);
        assert!(reads.wants_round());
    }

    #[test]
    fn an_answer_to_an_older_round_confirms_nothing() {
        let mut reads = Reads::default();
        reads.push(ticket(1));
        let first = reads.begin(5);
        assert_eq!(reads.take_all(), [ticket(1)]);
        reads.push(ticket(2));
        assert_ne!(reads.begin(5), first);
        assert_eq!(reads.confirm(&first, LogIndex(5)), None);
        assert_eq!(reads.ready(LogIndex(9)), []);
    }
}
