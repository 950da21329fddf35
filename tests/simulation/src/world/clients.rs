//! The clients: random operations on few keys, routed and retried by the shipped router.
//!
//! A client has one operation at a time. It retries until it has a reply or its deadline passes,
//! and records the result; a write without a known outcome is recorded as unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ringkv_kv_types::Outcome;
use ringkv_proto::v1;
use ringkv_routing::{Attempts, Failure, Next, Route, Router};
use ringkv_topology::{GroupId, NodeId, Topology};

use super::service::{Attempt, KvAnswer, KvRequest, KvResult};
use super::{Event, World};
use crate::history::{Action, Answer, Change, Condition, Moment, Operation, Revision};
use crate::kv::{self, KvBody, Learnt, WriteBody};
use crate::network::Endpoint;
use crate::seed::{Seed, Stream};
use crate::swarm::Swarm;
use crate::time::{MILLISECOND, Micros, SECOND};
use crate::violation::Violation;

/// The deadline of one operation: far shorter than the time for which results are remembered.
const DEADLINE: Micros = 5 * SECOND;

/// A client's longest wait between two requests for the topology.
const TOPOLOGY_REFRESH: Micros = SECOND;

/// The share of reads that go to a random replica instead of the one the router takes for the
/// leader: for example to a former leader that does not know yet that it was replaced.
const STRAY_READS: f64 = 0.2;

/// One client.
pub(super) struct Client {
    endpoint: Endpoint,
    router: Router,
    rng: Stream,
    /// The last revision seen of each key, for the conditions of later writes.
    seen: BTreeMap<usize, Revision>,
    values: u64,
    operations_left: usize,
    /// Keys still to be read at the end of the run.
    last_reads: Vec<usize>,
    work: Option<Work>,
    timer: u64,
    asked_topology_at: Micros,
    attempt_timeout: Micros,
}

/// The operation in progress.
struct Work {
    key: usize,
    body: KvBody,
    action: Action,
    attempts: Attempts,
    route: Option<Route>,
    attempt: u64,
    invoked: Moment,
    deadline: Micros,
}

impl Client {
    pub(super) fn new(endpoint: Endpoint, swarm: &Swarm, seed: Seed) -> Self {
        let mut rng = seed.stream("client", endpoint as u64);
        Self {
            endpoint,
            router: Router::new(),
            seen: BTreeMap::new(),
            values: 0,
            operations_left: swarm.operations_per_client,
            last_reads: Vec::new(),
            work: None,
            timer: 0,
            asked_topology_at: 0,
            attempt_timeout: rng.between(150, 1_000) * MILLISECOND,
            rng,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.work.is_none() && self.last_reads.is_empty()
    }

    /// Draws the next operation.
    fn draw(&mut self, keys: usize, read_share: f64) -> (usize, Action, KvBody) {
        let key = self.rng.below(keys);
        if self.rng.chance(read_share) {
            return (key, Action::Get, KvBody::Get);
        }
        let change = if self.rng.chance(0.8) {
            self.values += 1;
            Change::Put((self.endpoint as u64) << 32 | self.values)
        } else {
            Change::Delete
        };
        let seen = self.seen.get(&key).copied();
        let condition = match (self.rng.below(10), change) {
            (0 | 1, Change::Put(_)) => Condition::Absent,
            (2..=4, _) => seen.map_or(Condition::Always, Condition::Revision),
            _ => Condition::Always,
        };
        let body = WriteBody {
            change,
            condition,
            request_id: self.rng.bytes(),
            chosen_by_user: self.rng.chance(0.5),
            return_previous: self.rng.chance(0.5),
        };
        (key, Action::Write { change, condition }, KvBody::Write(body))
    }
}

/// The bytes of a key.
pub(super) fn key_bytes(key: usize) -> Bytes {
    Bytes::from(format!("key {key}"))
}

/// The revision of the record according to this reply.
fn known_revision(answer: Answer) -> Option<Revision> {
    match answer {
        Answer::Found(version) => version.map(|version| version.revision),
        Answer::Written { revision, .. } => Some(revision),
        Answer::Refused { current } => current,
        Answer::NothingToDelete | Answer::Unknown => None,
    }
}

impl World {
    pub(super) fn start_clients(&mut self) {
        for client in 0..self.clients.len() {
            let wait = self.clients[client].rng.between(0, 200 * MILLISECOND);
            self.plan_timer(client, wait);
        }
    }

    /// One client reads all keys after the others have finished.
    pub(super) fn start_last_reads(&mut self) {
        let keys = (0..self.swarm.keys).collect();
        self.clients[0].last_reads = keys;
        self.plan_timer(0, 0);
    }

    /// Sets a new deadline for operations in progress: all faults have ended, so each must end.
    pub(super) fn extend_deadlines(&mut self) {
        let deadline = self.agenda.now() + 2 * DEADLINE;
        for work in self.clients.iter_mut().filter_map(|client| client.work.as_mut()) {
            work.deadline = deadline;
        }
    }

    fn index_of(&self, endpoint: Endpoint) -> usize {
        endpoint - self.processes.len()
    }

    /// Plans the client's only timer and cancels an earlier one.
    fn plan_timer(&mut self, client: usize, wait: Micros) {
        self.clients[client].timer += 1;
        let (endpoint, timer) = (self.clients[client].endpoint, self.clients[client].timer);
        self.agenda.after(wait, Event::ClientTimer { client: endpoint, timer });
    }

    pub(super) fn on_client_timer(
        &mut self,
        endpoint: Endpoint,
        timer: u64,
    ) -> Result<(), Violation> {
        let client = self.index_of(endpoint);
        if self.clients[client].timer != timer {
            return Ok(());
        }
        self.refresh_topology(client, TOPOLOGY_REFRESH);
        match &self.clients[client].work {
            None => self.begin(client),
            Some(work) if work.route.is_some() => self.failed(client, Failure::Silent),
            Some(_) => self.attempt(client),
        }
    }

    /// Begins the next operation, if there is one.
    fn begin(&mut self, index: usize) -> Result<(), Violation> {
        let keys = self.swarm.keys;
        let now = self.agenda.now();
        let client = &mut self.clients[index];
        let (key, action, body) = if let Some(key) = client.last_reads.pop() {
            (key, Action::Get, KvBody::Get)
        } else if !self.calm && client.operations_left > 0 {
            client.operations_left -= 1;
            client.draw(keys, self.swarm.read_share)
        } else {
            return Ok(());
        };
        let attempts = if action == Action::Get { Attempts::read() } else { Attempts::write() };
        self.coverage.operations += 1;
        let invoked = self.next_moment();
        self.clients[index].work = Some(Work {
            key,
            body,
            action,
            attempts,
            route: None,
            attempt: 0,
            invoked,
            deadline: now + DEADLINE,
        });
        self.attempt(index)
    }

    /// Sends the operation to the router's target, or waits if there is none.
    fn attempt(&mut self, index: usize) -> Result<(), Violation> {
        let now = self.agenda.now();
        let client = &mut self.clients[index];
        let work = client.work.as_mut().expect("an attempt belongs to an operation");
        if now >= work.deadline {
            return self.give_up(index);
        }
        let Ok(mut route) = client.router.route(&key_bytes(work.key), &work.attempts) else {
            self.refresh_topology(index, 50 * MILLISECOND);
            self.plan_timer(index, 20 * MILLISECOND);
            return Ok(());
        };
        if client.rng.chance(STRAY_READS) && work.action == Action::Get {
            let replicas =
                client.router.topology().and_then(|known| known.groups.get(&route.group));
            let replicas = &replicas.expect("a route names a group of the topology").replicas;
            route.node = client.rng.pick(replicas).node;
        }
        work.attempt += 1;
        let timeout = client.attempt_timeout.min(work.deadline - now);
        let (from, node) = (client.endpoint, route.node);
        let attempt = Attempt { client: from, operation: work.invoked, number: work.attempt };
        let timeout_ms = u32::try_from((timeout / MILLISECOND).max(1)).expect("seconds at most");
        let wire = v1::KvRequest {
            id: work.attempt,
            group: route.group.0,
            epoch: route.epoch.0,
            timeout_ms,
            trace: None,
            operation: Some(kv::operation(&key_bytes(work.key), &work.body)),
        };
        let request = KvRequest { from: attempt, wire };
        work.route = Some(route);
        let Some(target) = self.endpoint_of(super::Cluster::Storage, node) else {
            let answer = attempt.answer(KvResult::NotSent);
            let wait = self.moment_later();
            self.agenda.after(wait, Event::Answer { client: from, answer });
            self.plan_timer(index, timeout);
            return Ok(());
        };
        let passage = self.network.pass(now, from, target);
        for at in passage.arrivals {
            self.agenda.at(at, Event::Request { to: target, request: request.clone() });
        }
        if passage.told {
            let answer = attempt.answer(KvResult::NotSent);
            let wait = self.moment_later();
            self.agenda.after(wait, Event::Answer { client: from, answer });
        }
        self.plan_timer(index, timeout);
        Ok(())
    }

    /// An attempt has failed: continues as the router decides.
    fn failed(&mut self, index: usize, failure: Failure) -> Result<(), Violation> {
        let client = &mut self.clients[index];
        let work = client.work.as_mut().expect("a failure belongs to an operation");
        let route = work.route.take().expect("a failure belongs to an attempt");
        let next = work.attempts.on_error(&mut client.router, &route, &failure);
        let pause = client.rng.between(5 * MILLISECOND, 60 * MILLISECOND);
        match next {
            Next::RetryAt(_) => self.attempt(index),
            Next::Backoff => {
                self.plan_timer(index, pause);
                Ok(())
            }
            Next::Refresh(_) => {
                self.refresh_topology(index, 0);
                self.plan_timer(index, pause);
                Ok(())
            }
            Next::GiveUp(_) => self.give_up(index),
        }
    }

    /// The operation ends without a reply of the state machine.
    fn give_up(&mut self, index: usize) -> Result<(), Violation> {
        let work = self.clients[index].work.take().expect("an operation is given up once");
        let read = work.action == Action::Get;
        match work.attempts.outcome() {
            Outcome::Unknown if !read => {
                self.coverage.unknown += 1;
                self.record(index, &work, Answer::Unknown);
            }
            // Certainly not applied: if its value ever shows, no operation explains it.
            _ => self.coverage.not_applied += 1,
        }
        if self.calm {
            return Err(Violation::broken(format!(
                "client {index} got no answer for key {} within {} s though nothing is broken",
                work.key,
                DEADLINE / SECOND
            )));
        }
        self.think(index);
        Ok(())
    }

    fn think(&mut self, index: usize) {
        let think_max = if self.calm { 1 } else { self.swarm.think_max };
        let wait = self.clients[index].rng.between(0, think_max);
        self.plan_timer(index, wait);
    }

    fn record(&mut self, index: usize, work: &Work, answer: Answer) {
        let answered = self.next_moment();
        let endpoint = self.clients[index].endpoint;
        self.say(|| format!("client {endpoint} key {} {:?} -> {answer:?}", work.key, work.action));
        self.histories.entry(work.key).or_default().push(Operation {
            client: endpoint,
            action: work.action,
            invoked: work.invoked,
            answered,
            answer,
        });
    }

    /// An attempt has ended with a reply of a node or an error of the network.
    pub(super) fn on_answer(
        &mut self,
        endpoint: Endpoint,
        answer: KvAnswer,
    ) -> Result<(), Violation> {
        let index = self.index_of(endpoint);
        let client = &mut self.clients[index];
        let Some(work) = client
            .work
            .as_mut()
            .filter(|work| (work.invoked, work.attempt) == (answer.to.operation, answer.to.number))
        else {
            return Ok(());
        };
        let Some(route) = work.route.clone() else { return Ok(()) };
        let learnt = match answer.result {
            KvResult::Replied(reply) => {
                match kv::learnt(*reply, &work.body).map_err(Violation::broken)? {
                    Learnt::Answer(answer) => answer,
                    Learnt::Failed(error) => return self.failed(index, Failure::Reply(error)),
                }
            }
            KvResult::NotSent => return self.failed(index, Failure::NotSent),
            KvResult::Lost => return self.failed(index, Failure::Lost),
        };
        client.router.on_success(&route);
        let work = client.work.take().expect("just seen");
        match known_revision(learnt) {
            Some(revision) => client.seen.insert(work.key, revision),
            None => client.seen.remove(&work.key),
        };
        self.coverage.answered += 1;
        self.coverage.reads += u64::from(work.action == Action::Get);
        self.coverage.refused += u64::from(matches!(learnt, Answer::Refused { .. }));
        self.record(index, &work, learnt);
        self.think(index);
        Ok(())
    }

    /// Receives a topology from placement.
    pub(super) fn client_topology(
        &mut self,
        endpoint: Endpoint,
        topology: Arc<Topology>,
        leaders: Vec<(GroupId, NodeId)>,
    ) {
        let index = self.index_of(endpoint);
        self.clients[index].router.on_topology(topology, leaders);
    }

    /// Requests the topology from placement, unless the last request is less than `spacing` ago.
    fn refresh_topology(&mut self, index: usize, spacing: Micros) {
        let now = self.agenda.now();
        let client = &mut self.clients[index];
        let fresh = now < client.asked_topology_at + spacing;
        if fresh && client.router.topology().is_some() {
            return;
        }
        client.asked_topology_at = now;
        let endpoint = client.endpoint;
        self.ask_topology(endpoint);
    }
}
