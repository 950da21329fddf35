//! The install thread: replaces the state of groups by received snapshots, and removes that of
//! destroyed ones, while the apply thread goes on with all other groups.
//!
//! One piece of work at a time: each of them flushes the state machine's store.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use ringkv_consensus::{Installer, ReceivedSnapshot};
use ringkv_topology::GroupId;

use crate::handle::Handle;
use crate::threads::fatal;

/// Work on a group that the apply thread has taken out of service.
#[derive(Debug)]
pub(crate) enum Work {
    Install(Box<ReceivedSnapshot>),
    Remove(GroupId),
}

impl Work {
    pub(crate) fn group(&self) -> GroupId {
        match self {
            Self::Install(snapshot) => snapshot.group,
            Self::Remove(group) => *group,
        }
    }
}

/// Works until the apply thread is gone; returns each piece of work to it when it is done and
/// durable.
pub(crate) fn run(
    installer: &Arc<dyn Installer>,
    work: &Receiver<Work>,
    done: &Sender<Work>,
    handle: &Handle,
) {
    let observer = &handle.shared.observer;
    for work in work {
        if !handle.is_open() {
            // A stop waits for one piece of work at most: a restart finds the markers and tombstones.
            return;
        }
        observer.install_began(work.group());
        let began = Instant::now();
        let result = match &work {
            Work::Install(snapshot) => {
                let dir = handle.shared.dirs.received(snapshot.group, &snapshot.id);
                installer.install(snapshot.group, &dir)
            }
            Work::Remove(group) => installer.remove(*group),
        };
        result.unwrap_or_else(|e| fatal(&e));
        observer.install_ended(work.group(), began.elapsed());
        // Fails when the apply thread is gone, as above.
        let _ = done.send(work);
    }
}
