//! The requests of one stream that have no reply yet: bounded, each with a deadline.
//!
//! Owns the tickets under which the engine answers. A ticket is never used again on its stream, so
//! an answer that comes after the deadline of its request cannot reach another request. Time comes
//! from the caller, in milliseconds from any fixed point.

/// Requests open on one stream. A gateway serves many clients over one of these, and more than this
/// in the queue is more than a node does in 100 ms.
pub const OPEN_MAX: u16 = 2_048;

/// A bounded set of open requests; `R` is what is needed to reply.
#[derive(Debug)]
pub struct OpenRequests<R> {
    slots: Vec<Slot<R>>,
    free: Vec<u16>,
    open: usize,
}

#[derive(Debug)]
struct Slot<R> {
    /// Counts the uses of the slot; the upper part of the ticket.
    uses: u64,
    request: Option<Open<R>>,
}

#[derive(Debug)]
struct Open<R> {
    deadline_ms: u64,
    request: R,
}

const SLOT_BITS: u32 = 16;

impl<R> OpenRequests<R> {
    /// Room for `max` requests; takes memory as it is used.
    pub fn new(max: u16) -> Self {
        Self { slots: Vec::new(), free: (0..max).rev().collect(), open: 0 }
    }

    /// Keeps a request until it is taken or due, and returns its ticket.
    ///
    /// # Errors
    /// The request itself, when there is no room for it.
    pub fn insert(&mut self, request: R, deadline_ms: u64) -> Result<u64, R> {
        let Some(index) = self.free.pop() else { return Err(request) };
        let at = usize::from(index);
        // Free indices are handed out lowest first, so that the next new one is the next slot.
        if at == self.slots.len() {
            self.slots.push(Slot { uses: 0, request: None });
        }
        let slot = &mut self.slots[at];
        slot.uses += 1;
        slot.request = Some(Open { deadline_ms, request });
        self.open += 1;
        Ok(slot.uses << SLOT_BITS | u64::from(index))
    }

    /// The request of a ticket, which is then no longer open; `None` if it was not.
    pub fn take(&mut self, ticket: u64) -> Option<R> {
        let index = u16::try_from(ticket & ((1 << SLOT_BITS) - 1)).expect("masked to 16 bits");
        let slot = self.slots.get_mut(usize::from(index))?;
        if slot.uses != ticket >> SLOT_BITS {
            return None;
        }
        let open = slot.request.take()?;
        self.free.push(index);
        self.open -= 1;
        Some(open.request)
    }

    /// Takes all requests whose deadline is not after `now_ms`.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<R> {
        let mut due = Vec::new();
        for (index, slot) in (0u16..).zip(&mut self.slots) {
            if let Some(open) = slot.request.take_if(|open| open.deadline_ms <= now_ms) {
                due.push(open.request);
                self.free.push(index);
            }
        }
        self.open -= due.len();
        due
    }

    /// Whether every request has been answered.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_more_than_fits_is_turned_away_until_one_is_taken() {
        let mut open = OpenRequests::new(2);
        let first = open.insert("a", 10).unwrap();
        let _second = open.insert("b", 10).unwrap();
        assert_eq!(open.insert("c", 10), Err("c"));
        assert_eq!(open.take(first), Some("a"));
        assert!(open.insert("c", 10).is_ok());
    }

    #[test]
    fn an_answer_after_the_deadline_does_not_reach_a_later_request() {
        let mut open = OpenRequests::new(1);
        let late = open.insert("first", 10).unwrap();
        assert_eq!(open.take_due(9), Vec::<&str>::new());
        assert_eq!(open.take_due(10), ["first"]);
        let second = open.insert("second", 20).unwrap();
        assert_eq!(open.take(late), None);
        assert_eq!(open.take(second), Some("second"));
        assert!(open.is_empty());
    }

    proptest! {
        /// Against a plain list: every request ends once, by being taken or by being due.
        #[test]
        fn every_request_ends_exactly_once(
            steps in prop::collection::vec((0u8..3, 0u64..20), 0..200),
        ) {
            let mut open = OpenRequests::new(8);
            let mut model: Vec<(u64, u64, usize)> = Vec::new();
            for (step, (kind, number)) in steps.into_iter().enumerate() {
                match kind {
                    0 => match open.insert(step, number) {
                        Ok(ticket) => model.push((ticket, number, step)),
                        Err(_) => prop_assert_eq!(model.len(), 8),
                    },
                    1 if !model.is_empty() => {
                        let at = usize::try_from(number).unwrap() % model.len();
                        let (ticket, _, request) = model.remove(at);
                        prop_assert_eq!(open.take(ticket), Some(request));
                        prop_assert_eq!(open.take(ticket), None);
                    }
                    _ => {
                        let mut due = open.take_due(number);
                        due.sort_unstable();
                        let expected: Vec<usize> = model
                            .extract_if(.., |(_, deadline, _)| *deadline <= number)
                            .map(|(_, _, request)| request)
                            .collect();
                        prop_assert_eq!(due, expected);
                    }
                }
                prop_assert_eq!(open.is_empty(), model.is_empty());
            }
        }
    }
}
