//! A group as the machine holds it in memory, and the two rows it is loaded from.
//!
//! Everything here can be rebuilt from the store alone; nothing is decided by what is only here.
//! Row `group_state` (little endian): version u8, clock_ms u64, counter u64, checksum u64, applied
//! state (its own format), checksum of all before. Row `group_slots`: [`OwnedSlots`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use parking_lot::Mutex;
use ringkv_consensus::{AppliedState, DecodeError};
use ringkv_topology::GroupId;

use crate::format;
use crate::keys;
use crate::machine::retention::Retention;
use crate::machine::view::View;
use crate::machine::window::{Entry, Window};
use crate::owned_slots::OwnedSlots;
use crate::remembered::{Remembered, ResultRow};
use crate::store::{Store, StoreError};

const VERSION: u8 = 1;

/// What changes with every applied entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) applied: AppliedState,
    /// The group clock: the latest of the leaders' clocks seen, ms since the Unix epoch.
    pub(super) clock_ms: u64,
    /// The last number given to a write (its revision) or to a remembered rejection. One counter
    /// for all slots of the group, so it costs no row of its own; a slot that moves here raises
    /// it, so that revisions of a slot only ever rise.
    pub(super) counter: u64,
    /// Rolls over every entry and every result: equal on all replicas at equal indexes.
    pub(super) checksum: u64,
}

impl GroupState {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        out.put_u64_le(self.clock_ms);
        out.put_u64_le(self.counter);
        out.put_u64_le(self.checksum);
        out.put_slice(&self.applied.encode());
        format::seal(&mut out);
        Bytes::from(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = format::unseal(bytes)?;
        format::take_version(&mut input, VERSION)?;
        Ok(Self {
            clock_ms: input.try_get_u64_le()?,
            counter: input.try_get_u64_le()?,
            checksum: input.try_get_u64_le()?,
            applied: AppliedState::decode(input)?,
        })
    }
}

pub(super) struct Group {
    pub(super) state: GroupState,
    /// What readers see of it.
    pub(super) view: Arc<View>,
    pub(super) windows: Windows,
}

/// Groups that are loaded and wait for the apply thread to put them in service; at most one entry
/// for each group that is being installed.
pub(super) type Loaded = Arc<Mutex<BTreeMap<GroupId, Group>>>;

impl Group {
    pub(super) fn new(state: GroupState, owned: OwnedSlots, retention: &Retention) -> Self {
        let view = Arc::new(View::new(owned, state.clock_ms, state.applied.position.index));
        Self { state, view, windows: Windows::new(retention) }
    }

    /// Loads a group; `None` if it is not in the store, or was half dropped when a crash came.
    pub(super) fn load<S: Store>(
        store: &S,
        id: GroupId,
        retention: &Retention,
    ) -> Result<Option<Self>, StoreError> {
        let Some(state) = store.get(&keys::group_state(id))? else { return Ok(None) };
        let Some(owned) = store.get(&keys::group_slots(id))? else { return Ok(None) };
        let state = GroupState::decode(&state).map_err(StoreError::damaged("group state"))?;
        let owned = OwnedSlots::decode(&owned).map_err(StoreError::damaged("slots of a group"))?;
        let mut group = Self::new(state, owned, retention);
        group.windows.load(store, id)?;
        Ok(Some(group))
    }
}

/// The two windows: ids made by gateways and ids chosen by users.
pub(super) struct Windows {
    gateway: Window,
    user: Window,
}

impl Windows {
    fn new(retention: &Retention) -> Self {
        Self { gateway: Window::new(retention.gateway), user: Window::new(retention.user) }
    }

    pub(super) fn of(&mut self, chosen_by_user: bool) -> &mut Window {
        if chosen_by_user { &mut self.user } else { &mut self.gateway }
    }

    /// Reads the rows back in the order in which they were written: numbers only rise.
    fn load<S: Store>(&mut self, store: &S, id: GroupId) -> Result<(), StoreError> {
        let mut damage = None;
        store.scan(&keys::results_range(id), &mut |_, row| match ResultRow::decode(row) {
            Ok(row) => {
                self.remember(&row);
                ControlFlow::Continue(())
            }
            Err(error) => {
                damage = Some(error);
                ControlFlow::Break(())
            }
        })?;
        damage.map_or(Ok(()), |error| Err(StoreError::damaged("results of requests")(error)))
    }

    fn remember(&mut self, row: &ResultRow) {
        let Some(number) = row.number() else { return };
        let window = self.of(row.chosen_by_user);
        for Remembered { identity, .. } in &row.results {
            window.remember(Entry { identity: *identity, at_ms: row.at_ms, row: number });
        }
    }
}
