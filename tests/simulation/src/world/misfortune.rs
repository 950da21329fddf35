//! Executes the fault schedule, and ends it.

use ringkv_consensus::{Input, Role};

use super::{Event, World};
use crate::faults::FaultKind;
use crate::network::Endpoint;
use crate::time::MILLISECOND;
use crate::violation::Violation;

impl World {
    pub(super) fn on_fault(&mut self, index: usize) -> Result<(), Violation> {
        if self.calm {
            return Ok(());
        }
        let fault = self.faults[index].clone();
        let now = self.agenda.now();
        self.say(|| format!("FAULT {fault:?}"));
        self.coverage.faults += 1;
        match &fault.kind {
            FaultKind::Kill { processes } => {
                processes.iter().for_each(|process| self.kill(*process));
            }
            FaultKind::Stop { process } => {
                self.input(*process, Input::Retire);
                self.coverage.stops += 1;
            }
            FaultKind::Pause { process } => {
                self.processes[*process].paused_until = now + fault.lasts;
                self.coverage.pauses += 1;
            }
            FaultKind::Cut { links } => {
                self.network.cut(links);
                self.coverage.cuts += 1;
            }
            FaultKind::Clog { links } => self.network.clog(links, now + fault.lasts),
            FaultKind::SlowDisk { process, factor } => {
                self.processes[*process].disk_factor = *factor;
            }
            FaultKind::ClockStep { process, by_ms } => {
                self.processes[*process].clock_skew_ms += by_ms;
            }
            FaultKind::Transfer { from, to } => self.transfer(*from, *to),
            FaultKind::Accuse { process } => self.accuse(*process),
            FaultKind::GoWrong { process } => self.go_wrong(*process),
            FaultKind::Join { process } => self.join(*process),
            FaultKind::Drain { process } => self.drain(*process, true),
            FaultKind::Undrain { process } => self.drain(*process, false),
            FaultKind::Wipe { process } => self.wipe(*process),
        }
        self.agenda.after(fault.lasts, Event::FaultOver(index));
        Ok(())
    }

    pub(super) fn on_fault_over(&mut self, index: usize) -> Result<(), Violation> {
        if self.calm {
            return Ok(());
        }
        match &self.faults[index].kind.clone() {
            FaultKind::Kill { processes } => {
                for process in processes {
                    self.restart(*process)?;
                }
            }
            FaultKind::Stop { process } => {
                self.kill(*process);
                self.restart(*process)?;
            }
            FaultKind::Wipe { process } => self.restart(*process)?,
            FaultKind::Cut { links } => self.network.mend(links),
            FaultKind::SlowDisk { process, .. } => self.processes[*process].disk_factor = 1,
            FaultKind::Pause { .. }
            | FaultKind::Clog { .. }
            | FaultKind::ClockStep { .. }
            | FaultKind::Transfer { .. }
            | FaultKind::GoWrong { .. }
            | FaultKind::Join { .. }
            | FaultKind::Drain { .. }
            | FaultKind::Undrain { .. }
            | FaultKind::Accuse { .. } => {}
        }
        Ok(())
    }

    /// Ends every fault permanently.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        self.say(|| "HEAL: no more faults".to_owned());
        let now = self.agenda.now();
        self.calm = true;
        self.extend_deadlines();
        self.network.heal();
        for process in 0..self.processes.len() {
            // A process that was asked to stop would refuse requests for ever.
            let stopping = FaultKind::Stop { process };
            if self.faults.iter().any(|fault| fault.kind == stopping && fault.is_on(now)) {
                self.kill(process);
            }
            self.processes[process].paused_until = 0;
            self.processes[process].disk_factor = 1;
            self.restart(process)?;
        }
        Ok(())
    }

    fn restart(&mut self, process: Endpoint) -> Result<(), Violation> {
        if self.processes[process].is_up() || self.waits_for_identity(process) {
            Ok(())
        } else {
            self.start(process)
        }
    }

    /// Moves every leader from a node, as an operator or a shutdown does.
    fn transfer(&mut self, from: Endpoint, to: Endpoint) {
        let to = self.processes[to].node;
        let status = self.processes[from].status();
        for group in status.iter().filter(|group| group.role == Role::Leader) {
            self.coverage.transfers += 1;
            self.input(from, Input::TransferLeader { group: group.group, to });
        }
        self.say(|| format!("process {from} hands over to node {to}"));
    }

    /// Requests that every replica of a node is rebuilt from its leader's snapshot.
    fn accuse(&mut self, process: Endpoint) {
        for status in self.processes[process].status() {
            self.coverage.accusations += 1;
            self.input(process, Input::Rebuild { group: status.group });
        }
        self.say(|| format!("process {process} rebuilds its replicas"));
    }

    /// A short random pause before the reaction to a failure.
    pub(super) fn moment_later(&mut self) -> crate::time::Micros {
        self.rng.between(MILLISECOND, 50 * MILLISECOND)
    }
}
