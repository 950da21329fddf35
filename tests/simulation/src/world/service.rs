//! The part of the storage node's service that clients see: the shipped checks, request table and
//! replies, driven by the agenda instead of a stream.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ringkv_consensus::{Committed, Completion, Input, LogIndex, SinkId, Ticket};
use ringkv_proto::v1::{self, kv_reply};
use ringkv_storage_core::service::accept::{self, Accepted, Op, Read};
use ringkv_storage_core::service::open_requests::{OPEN_MAX, OpenRequests};
use ringkv_storage_core::service::{convert, reply};
use ringkv_topology::GroupId;

use super::{Cluster, Event, World};
use crate::history::Moment;
use crate::kv;
use crate::network::Endpoint;
use crate::time::MILLISECOND;
use crate::violation::Violation;

/// The engine's only client on a simulated node.
pub(super) const SINK: SinkId = SinkId(1);

/// One attempt of an operation, on its way to a node.
#[derive(Clone, Debug)]
pub(crate) struct KvRequest {
    pub(super) from: Attempt,
    pub(super) wire: v1::KvRequest,
}

/// Identifies an attempt and the client that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(super) client: Endpoint,
    /// Identifies the operation among the client's.
    pub(super) operation: Moment,
    pub(super) number: u64,
}

/// The result of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct KvAnswer {
    pub(super) to: Attempt,
    pub(super) result: KvResult,
}

/// The result of an attempt, as the client's connection reports it.
#[derive(Clone, Debug)]
pub(crate) enum KvResult {
    Replied(Box<kv_reply::Result>),
    NotSent,
    Lost,
}

/// The stream on which all clients send their requests to a node. A restarted node has a new one.
pub(super) struct Stream {
    open: OpenRequests<Waiting>,
    /// Tickets that the engine has not completed yet, including those of requests past their
    /// deadline.
    tickets: BTreeSet<u64>,
}

/// The data for the reply to an open request.
#[derive(Debug)]
struct Waiting {
    from: Attempt,
    is_read: bool,
    /// The read to do at the read point.
    read: Option<Read>,
}

/// Where each request id took effect.
#[derive(Default)]
pub(super) struct Applied {
    effects: BTreeMap<[u8; 16], (GroupId, LogIndex, usize)>,
}

impl KvRequest {
    /// The part of the request that the trace contains.
    pub(super) fn trace(&self) -> &[u8] {
        kv::key(&self.wire)
    }
}

impl Attempt {
    pub(super) fn answer(self, result: KvResult) -> KvAnswer {
        KvAnswer { to: self, result }
    }
}

impl Stream {
    /// A stream with nothing on it.
    pub(super) fn new() -> Self {
        Self { open: OpenRequests::new(OPEN_MAX), tickets: BTreeSet::new() }
    }
}

impl World {
    /// An attempt reaches a node, or fails because the node is down.
    pub(super) fn on_request(
        &mut self,
        process: Endpoint,
        request: KvRequest,
    ) -> Result<(), Violation> {
        let KvRequest { from, wire } = request;
        if !self.processes[process].is_up() {
            self.send_answer(process, from.answer(KvResult::NotSent));
            return Ok(());
        }
        let is_read = accept::op(&wire).is_none_or(|op| op == Op::Get);
        let mut waiting = Waiting { from, is_read, read: None };
        let topology = self.control.nodes[process].topology.clone();
        let accepted = match accept::accept(&wire, topology.as_deref(), false) {
            Ok(Accepted::Read { group, read }) if self.reads_by_lease(process, group) => {
                self.coverage.lease_reads += 1;
                let result = self.look_up(process, &read)?;
                self.reply(process, &waiting, result);
                return Ok(());
            }
            Ok(accepted) => accepted,
            Err(error) => {
                self.reply(process, &waiting, kv_reply::Result::Error(error));
                return Ok(());
            }
        };
        let (asked, read) = accepted.split();
        waiting.read = read;
        let deadline_ms = self.agenda.now() / MILLISECOND + accept::timeout_ms(&wire);
        match self.streams[process].open.insert(waiting, deadline_ms) {
            Ok(id) => {
                self.streams[process].tickets.insert(id);
                self.input(process, Input::Request(asked.under(Ticket { sink: SINK, id })));
            }
            Err(waiting) => {
                let error = reply::too_many(OPEN_MAX);
                self.reply(process, &waiting, kv_reply::Result::Error(error));
            }
        }
        Ok(())
    }

    fn reads_by_lease(&self, process: Endpoint, group: GroupId) -> bool {
        self.processes[process].may_read(group, self.agenda.now())
    }

    /// The engine has completed requests.
    pub(super) fn on_completions(
        &mut self,
        process: Endpoint,
        completions: Vec<Completion>,
    ) -> Result<(), Violation> {
        if self.cluster_of(process) == Cluster::Placement {
            return self.on_placement_completions(process, completions);
        }
        for completion in completions {
            let stream = &mut self.streams[process];
            if !stream.tickets.remove(&completion.id) {
                return Err(Violation::broken(format!(
                    "process {process} ends request {} twice, or one never made",
                    completion.id
                )));
            }
            // A request past its deadline already has a reply.
            let Some(waiting) = stream.open.take(completion.id) else { continue };
            let mut found = Ok(());
            let look_up = |read: &Read| match self.look_up(process, read) {
                Ok(result) => result,
                Err(violation) => {
                    found = Err(violation);
                    kv_reply::Result::Error(reply::unexpected())
                }
            };
            let result = reply::ended(completion.result, waiting.read.as_ref(), look_up);
            found?;
            let result = result.ok_or_else(|| {
                let from = waiting.from;
                Violation::broken(format!("process {process} ends {from:?} as another kind"))
            })?;
            self.reply(process, &waiting, result);
        }
        Ok(())
    }

    /// Replies to requests whose deadline has passed.
    pub(super) fn give_up_late(&mut self, process: Endpoint) {
        let now_ms = self.agenda.now() / MILLISECOND;
        for waiting in self.streams[process].open.take_due(now_ms) {
            self.coverage.late += 1;
            self.reply(process, &waiting, kv_reply::Result::Error(reply::too_late()));
        }
    }

    /// Reads the local store, at a read point or under a lease.
    fn look_up(&self, process: Endpoint, read: &Read) -> Result<kv_reply::Result, Violation> {
        let record = self.processes[process].machine.read(read).map_err(Violation::broken)?;
        Ok(convert::read_reply(Ok(record)))
    }

    fn reply(&mut self, process: Endpoint, waiting: &Waiting, mut result: kv_reply::Result) {
        let topology = self.control.nodes[process].topology.as_ref();
        let epoch = topology.map_or(0, |topology| topology.epoch.0);
        reply::complete(&mut result, waiting.is_read, epoch);
        self.send_answer(process, waiting.from.answer(KvResult::Replied(Box::new(result))));
    }

    fn send_answer(&mut self, process: Endpoint, answer: KvAnswer) {
        let client = answer.to.client;
        let passage = self.network.pass(self.agenda.now(), process, client);
        for at in passage.arrivals {
            let answer = answer.clone();
            self.agenda.at(at, Event::Answer { client, answer });
        }
    }

    /// Connections to a killed node break: waiting clients are notified, unless they are cut off.
    pub(super) fn break_connections(&mut self, process: Endpoint) {
        let mut stream = std::mem::replace(&mut self.streams[process], Stream::new());
        for waiting in stream.open.take_due(u64::MAX) {
            self.send_answer(process, waiting.from.answer(KvResult::Lost));
        }
    }

    /// Checks applied commands: a request id takes effect at one index of one log.
    pub(super) fn watch_commands(
        &mut self,
        process: Endpoint,
        group: GroupId,
        entry: &Committed,
        results: &[Bytes],
    ) -> Result<(), Violation> {
        if self.cluster_of(process) == Cluster::Placement {
            return Ok(());
        }
        let Some(batch) = &entry.commands else { return Ok(()) };
        for (position, (command, result)) in batch.commands().zip(results).enumerate() {
            let id = match kv::effect(&command, result).map_err(Violation::broken)? {
                kv::Effect::Applied(id) => id,
                kv::Effect::Repeated => {
                    self.coverage.repeated += 1;
                    continue;
                }
                kv::Effect::Rejected => continue,
            };
            let place = (group, entry.index, position);
            let first = *self.applied.effects.entry(id).or_insert(place);
            if first != place {
                return Err(Violation::broken(format!(
                    "request {id:02x?} took effect at {first:?} and again at {place:?} \
                     (group, index, position)"
                )));
            }
        }
        Ok(())
    }
}
