//! A cluster of engines in one process, over any network, with a client that waits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use ringkv_consensus::{
    Completion, Done, Genesis, LogReader, LogWriter, Members, Request, RequestError, Role, Ticket,
};
use ringkv_engine::{Engine, EngineConfig, Handle, NoObserver, Registration, Sink, Transport};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::ledger::Ledger;

pub(crate) const GROUP: GroupId = GroupId(1);
/// Far longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A way to connect engines.
pub(crate) trait Wiring {
    /// Connects a node that is starting, with what it is reached by.
    fn connect(&self, node: NodeId, handle: Handle) -> Arc<dyn Transport>;

    /// The node is gone: what is sent to it is lost.
    fn disconnect(&self, node: NodeId);
}

/// Where the nodes of a cluster keep their logs.
pub(crate) trait Logs {
    type Log: LogReader + LogWriter + Clone;

    /// Opens the log of a node that is starting; what was not synced before may be lost.
    fn open(&self, node: NodeId, dir: &Path) -> Self::Log;
}

/// Keeps what completions came, for a test to wait for.
#[derive(Default)]
pub(crate) struct Inbox {
    done: Mutex<BTreeMap<u64, Result<Done, RequestError>>>,
    changed: Condvar,
}

impl Sink for Inbox {
    fn deliver(&self, completions: Vec<Completion>) {
        let mut done = self.done.lock();
        for Completion { id, result, .. } in completions {
            let twice = done.insert(id, result).is_some();
            assert!(!twice, "request {id} was completed twice");
        }
        self.changed.notify_all();
    }
}

impl Inbox {
    /// The completion of a request, if it comes within `patience`.
    pub(crate) fn wait(&self, id: u64, patience: Duration) -> Option<Result<Done, RequestError>> {
        let deadline = Instant::now() + patience;
        let mut done = self.done.lock();
        while !done.contains_key(&id) {
            if self.changed.wait_until(&mut done, deadline).timed_out() {
                return None;
            }
        }
        done.remove(&id)
    }
}

/// A running engine and what a test needs of it.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) handle: Handle,
    pub(crate) ledger: Ledger,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) sink: Registration,
}

pub(crate) struct Cluster<W, L> {
    pub(crate) wiring: W,
    logs: L,
    dir: tempfile::TempDir,
    pub(crate) nodes: BTreeMap<NodeId, Running>,
    change: fn(&mut EngineConfig),
    lives: u64,
    next_request: u64,
}

impl<W: Wiring, L: Logs> Cluster<W, L> {
    /// Starts `size` nodes with one group over all of them.
    pub(crate) fn start(size: u64, wiring: W, logs: L, change: fn(&mut EngineConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let nodes = BTreeMap::new();
        let mut cluster = Self { wiring, logs, dir, nodes, change, lives: 0, next_request: 0 };
        let members = Members::of_voters((1..=size).map(|n| (ReplicaId(n), NodeId(n))));
        for n in 1..=size {
            cluster.start_node(NodeId(n));
            cluster.nodes[&NodeId(n)].handle.create(Genesis {
                group: GROUP,
                replica: ReplicaId(n),
                members: members.clone(),
                context: Bytes::new(),
            });
        }
        cluster
    }

    /// The node's directory.
    pub(crate) fn dir(&self, node: NodeId) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    /// Starts a node on what is in its directory.
    pub(crate) fn start_node(&mut self, node: NodeId) {
        self.lives += 1;
        let dir = self.dir(node);
        std::fs::create_dir_all(&dir).expect("made");
        let mut config = EngineConfig::new(node, self.lives, &dir);
        config.tick = Duration::from_millis(10);
        (self.change)(&mut config);
        let log = self.logs.open(node, &dir);
        let ledger = Ledger::open(dir.join("ledger"));
        let connect = |handle| self.wiring.connect(node, handle);
        let engine = Engine::start(config, log, ledger.clone(), Arc::new(NoObserver), connect)
            .expect("the node's directory is whole");
        let inbox = Arc::new(Inbox::default());
        let handle = engine.handle();
        let sink = handle.register(Arc::clone(&inbox) as Arc<dyn Sink>);
        self.nodes.insert(node, Running { engine, handle, ledger, inbox, sink });
    }

    /// Ends a node without any goodbye: nothing is handed over or flushed.
    pub(crate) fn crash(&mut self, node: NodeId) {
        self.wiring.disconnect(node);
        drop(self.nodes.remove(&node).expect("a running node"));
    }

    /// Stops a node cleanly.
    pub(crate) fn stop(&mut self, node: NodeId) {
        let running = self.nodes.remove(&node).expect("a running node");
        running.engine.stop(PATIENCE);
        self.wiring.disconnect(node);
    }

    /// Waits until a running node leads, and returns it.
    pub(crate) fn leader(&self) -> NodeId {
        let leads = |running: &Running| {
            running.handle.status().iter().any(|g| g.group == GROUP && g.role == Role::Leader)
        };
        eventually("a node leads", || {
            self.nodes.iter().find(|(_, running)| leads(running)).map(|(node, _)| *node)
        })
    }

    /// Sends a request to a node and returns its result.
    pub(crate) fn ask(
        &mut self,
        node: NodeId,
        request: impl Fn(Ticket) -> Request,
    ) -> Result<Done, RequestError> {
        self.next_request += 1;
        let id = self.next_request;
        let running = &self.nodes[&node];
        running.handle.submit(vec![request(Ticket { sink: running.sink.id(), id })]);
        running.inbox.wait(id, PATIENCE).expect("every request gets a completion")
    }

    /// Writes through the leader until it is acknowledged; returns its place in the ledger. It
    /// may be there twice, if its outcome was unknown once.
    pub(crate) fn write(&mut self, command: &Bytes) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader();
            let propose =
                |ticket| Request::Propose { group: GROUP, command: command.clone(), ticket };
            match self.ask(leader, propose) {
                Ok(Done::Applied(place)) => {
                    return u64::from_be_bytes(place[..].try_into().expect("eight bytes"));
                }
                Ok(Done::ReadReady) => panic!("a write was answered as a read"),
                Err(refusal) => assert!(Instant::now() < deadline, "refused for long: {refusal}"),
            }
        }
    }

    /// Reads the ledger linearizably from the leader.
    pub(crate) fn read(&mut self) -> Vec<Bytes> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader();
            match self.ask(leader, |ticket| Request::Read { group: GROUP, ticket }) {
                Ok(Done::ReadReady) => return self.nodes[&leader].ledger.commands(GROUP),
                Ok(done) => panic!("a read was answered with {done:?}"),
                Err(refusal) => assert!(Instant::now() < deadline, "refused for long: {refusal}"),
            }
        }
    }

    /// Waits until every running node has applied the same.
    pub(crate) fn settle(&self) {
        eventually("all nodes have applied the same", || {
            let mut applied = self.nodes.values().map(|node| node.ledger.applied_index(GROUP));
            let first = applied.next()?;
            applied.all(|index| index == first).then_some(())
        });
        let mut ledgers = self.nodes.values().map(|node| node.ledger.commands(GROUP));
        let first = ledgers.next().expect("a node runs");
        assert!(ledgers.all(|ledger| ledger == first), "the same index means the same commands");
    }
}

/// Looks again and again until there is something to give.
pub(crate) fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The command number `n`.
pub(crate) fn command(n: u64) -> Bytes {
    Bytes::from(format!("command {n}"))
}
