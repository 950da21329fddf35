//! The part of the storage node's service that clients see: proposes a write; for a read waits for
//! its read point, then reads the local store.

use std::collections::BTreeMap;

use bytes::Bytes;
use ringkv_consensus::{
    Committed, Completion, Done, Input, LogIndex, Refusal, Request, SinkId, Ticket,
};
use ringkv_proto::v1::{self, ErrorCode};
use ringkv_topology::{GroupId, Slot};

use super::{Cluster, Event, World};
use crate::history::{Answer, Change, Condition, Moment};
use crate::kv;
use crate::network::Endpoint;
use crate::violation::Violation;

/// The engine's only client on a simulated node.
pub(super) const SINK: SinkId = SinkId(1);

/// One attempt of an operation.
#[derive(Clone, Debug)]
pub(crate) struct KvRequest {
    pub(super) client: Endpoint,
    /// Identifies the operation among the client's.
    pub(super) operation: Moment,
    pub(super) attempt: u64,
    pub(super) group: GroupId,
    pub(super) slot: Slot,
    pub(super) key: Bytes,
    pub(super) body: KvBody,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum KvBody {
    Get,
    Write(WriteBody),
}

/// A write, the same in every attempt.
#[derive(Clone, Debug)]
pub(crate) struct WriteBody {
    pub(crate) change: Change,
    pub(crate) condition: Condition,
    pub(crate) request_id: [u8; 16],
    pub(crate) chosen_by_user: bool,
    pub(crate) return_previous: bool,
}

/// The result of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct KvAnswer {
    pub(super) operation: Moment,
    pub(super) attempt: u64,
    pub(super) result: KvResult,
}

/// The result of an attempt, as the client's connection reports it.
#[derive(Clone, Debug)]
pub(crate) enum KvResult {
    Learnt(Answer),
    Failed(Box<v1::Error>),
    NotSent,
    Lost,
}

/// Requests that a node has accepted and not answered.
#[derive(Default)]
pub(super) struct OpenRequests {
    last: u64,
    open: BTreeMap<u64, KvRequest>,
}

/// Where each request id took effect.
#[derive(Default)]
pub(super) struct Applied {
    effects: BTreeMap<[u8; 16], (GroupId, LogIndex, usize)>,
}

impl KvRequest {
    /// The part of the request that the trace contains.
    pub(super) fn trace(&self) -> &[u8] {
        &self.key
    }

    fn wants_previous(&self) -> bool {
        matches!(&self.body, KvBody::Write(write) if write.return_previous)
    }

    pub(super) fn answer(&self, result: KvResult) -> KvAnswer {
        KvAnswer { operation: self.operation, attempt: self.attempt, result }
    }
}

impl World {
    /// An attempt reaches a node, or fails because the node is down.
    pub(super) fn on_request(
        &mut self,
        process: Endpoint,
        request: KvRequest,
    ) -> Result<(), Violation> {
        if !self.processes[process].is_up() {
            let refused = request.answer(KvResult::NotSent);
            self.send_answer(process, request.client, refused);
            return Ok(());
        }
        let by_lease = self.processes[process].may_read(request.group, self.agenda.now());
        if matches!(request.body, KvBody::Get) && by_lease {
            self.coverage.lease_reads += 1;
            let answer = self.read(process, &request).map_err(Violation::broken)?;
            self.send_answer(process, request.client, request.answer(answer));
            return Ok(());
        }
        self.open[process].last += 1;
        let ticket = Ticket { sink: SINK, id: self.open[process].last };
        let group = request.group;
        let asked = match &request.body {
            KvBody::Get => Request::Read { group, ticket },
            KvBody::Write(write) => {
                let command = kv::command(request.slot, &request.key, write);
                Request::Propose { group, command, ticket }
            }
        };
        self.open[process].open.insert(ticket.id, request);
        self.input(process, Input::Request(asked));
        Ok(())
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
            let Some(request) = self.open[process].open.remove(&completion.id) else {
                return Err(Violation::broken(format!(
                    "process {process} ends request {} twice, or one never made",
                    completion.id
                )));
            };
            let result = match completion.result {
                Ok(Done::Applied(outcome)) => kv::learnt(&outcome, request.wants_previous()),
                Ok(Done::ReadReady) => self.read(process, &request),
                Err(refusal) => Ok(KvResult::Failed(Box::new(error(refusal)))),
            };
            let answer = request.answer(result.map_err(Violation::broken)?);
            self.send_answer(process, request.client, answer);
        }
        Ok(())
    }

    /// Reads the local store at a read point.
    fn read(&self, process: Endpoint, request: &KvRequest) -> Result<KvResult, String> {
        let machine = &self.processes[process].machine;
        let record = machine.read(request.group, request.slot, &request.key)?;
        let version = record.as_ref().map(kv::version).transpose()?;
        Ok(KvResult::Learnt(Answer::Found(version)))
    }

    fn send_answer(&mut self, process: Endpoint, client: Endpoint, answer: KvAnswer) {
        let passage = self.network.pass(self.agenda.now(), process, client);
        for at in passage.arrivals {
            let answer = answer.clone();
            self.agenda.at(at, Event::Answer { client, answer });
        }
    }

    /// Connections to a killed node break: waiting clients are notified, unless they are cut off.
    pub(super) fn break_connections(&mut self, process: Endpoint) {
        for (_, request) in std::mem::take(&mut self.open[process].open) {
            let lost = request.answer(KvResult::Lost);
            self.send_answer(process, request.client, lost);
        }
    }

    /// Checks applied commands: a request id takes effect at one index of one log.
    pub(super) fn watch_commands(
        &mut self,
        process: Endpoint,
        group: GroupId,
        entry: &Committed,
        outcomes: &[Bytes],
    ) -> Result<(), Violation> {
        if self.cluster_of(process) == Cluster::Placement {
            return Ok(());
        }
        let Some(pack) = &entry.pack else { return Ok(()) };
        for (position, (command, outcome)) in pack.commands().zip(outcomes).enumerate() {
            let id = match kv::effect(&command, outcome).map_err(Violation::broken)? {
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

/// A rejection of the engine, as clients receive it.
fn error(refusal: Refusal) -> v1::Error {
    let code = match refusal {
        Refusal::NoGroup => ErrorCode::NoGroup,
        Refusal::NotLeader { .. } => ErrorCode::NotLeader,
        Refusal::Busy => ErrorCode::Busy,
        Refusal::ShuttingDown => ErrorCode::ShuttingDown,
        Refusal::LeadershipLost => ErrorCode::LeadershipLost,
        Refusal::ChangeRefused => ErrorCode::Invalid,
    };
    let leader = match refusal {
        Refusal::NotLeader { leader } => leader,
        _ => None,
    };
    v1::Error {
        leader_node: leader.map_or(0, |node| node.0),
        ..v1::Error::new(code, refusal.to_string())
    }
}
