//! Counts what long work has done and where it is, tells the client about it now and then, and notices when it is to stop.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::{Progress, Totals};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::FAULTS_MAX;
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::{Name, WirePath};

use super::beside::kept_fault;
use crate::disk;
use crate::exchange::{Answers, Exchange};
use crate::memory;
use crate::root::{Guarded, Kept};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How far work on a tree has come.
#[derive(Debug)]
pub(super) struct Tally {
    answers: Answers,
    cancel: CancellationToken,
    totals: Totals,
    /// Bytes of the file that is being worked on.
    under_way: u64,
    told: Instant,
    /// The work's start, below the root, and where it is below that.
    start: WirePath,
    below: Vec<Name>,
    kept: Kept,
}

impl Tally {
    pub(super) fn new(exchange: &Exchange, start: WirePath) -> Self {
        Self {
            answers: exchange.answers.clone(),
            cancel: exchange.cancel.clone(),
            totals: Totals::default(),
            under_way: 0,
            told: Instant::now(),
            start,
            below: Vec::new(),
            kept: Kept::default(),
        }
    }

    /// This stays out of the work.
    pub(super) fn keeping_out(self, kept: Kept) -> Self {
        Self { kept, ..self }
    }

    pub(super) const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Err for what stays out.
    pub(super) fn check_kept(&self, folder: impl AsFd, name: &Name) -> Result<(), Fault> {
        match self.kept.guards(folder, name)? {
            Some(Guarded::Kept) => Err(kept_fault()),
            Some(Guarded::Way) | None => Ok(()),
        }
    }

    /// To be called between steps, each a fraction of a second at most: tells the client, and ends cancelled work.
    pub(super) fn step(&mut self) -> Result<(), Fault> {
        if self.cancel.is_cancelled() {
            return Err(FaultCode::Cancelled.into());
        }
        if self.told.elapsed() >= PROGRESS_INTERVAL {
            self.told = Instant::now();
            self.answers.send_if_room(Progress {
                files: self.totals.files,
                folders: self.totals.folders,
                bytes: self.totals.bytes.saturating_add(self.under_way),
                failed: self.totals.failed,
            });
        }
        Ok(())
    }

    /// Err if a file system is mounted at this name and does not answer.
    pub(super) fn check_answers(&self, folder: impl AsFd, name: &Name) -> Result<(), Fault> {
        disk::check_answers(folder, name, &|| self.cancel.is_cancelled())
    }

    pub(super) fn enter(&mut self, name: Name) {
        self.below.push(name);
    }

    pub(super) fn leave(&mut self) {
        self.below.pop();
    }

    /// Bytes of the file that is being worked on have been done.
    pub(super) const fn bytes_under_way(&mut self, bytes: u64) {
        self.under_way = self.under_way.saturating_add(bytes);
    }

    /// A file, link or special file is done, all its bytes included.
    pub(super) fn file(&mut self, bytes: u64) {
        self.totals.files += 1;
        self.totals.bytes = self.totals.bytes.saturating_add(bytes);
        self.under_way = 0;
        self.answers.done().tell(&self.totals);
    }

    /// Something could not be given all that it was to have.
    pub(super) const fn unset(&mut self, parts: Parts) {
        if !parts.are_none() {
            self.totals.unset.things += 1;
            self.totals.unset.parts = self.totals.unset.parts.and_also(parts);
        }
    }

    pub(super) fn folder(&mut self) {
        self.totals.folders += 1;
        self.answers.done().tell(&self.totals);
    }

    /// What the work is at has failed. Err where the rest cannot be done either.
    pub(super) fn failed(&mut self, fault: Fault) -> Result<(), Fault> {
        self.under_way = 0;
        self.count_failed(fault.path.clone().unwrap_or_else(|| self.here()), fault)
    }

    /// What was made at `path` has failed afterwards. Err where that is the work itself, or the rest cannot be done either.
    pub(super) fn failed_at(&mut self, path: WirePath, fault: Fault) -> Result<(), Fault> {
        if path == self.start { Err(fault) } else { self.count_failed(path, fault) }
    }

    fn count_failed(&mut self, path: WirePath, fault: Fault) -> Result<(), Fault> {
        let fault = fault.at(path);
        if stops_all(fault.code) {
            return Err(fault);
        }
        self.totals.failed += 1;
        self.answers.done().tell(&self.totals);
        if self.totals.faults.len() < FAULTS_MAX && self.answers.try_pay_ahead(memory::of_fault(&fault)) {
            self.totals.faults.push(fault);
        }
        Ok(())
    }

    pub(super) const fn failures(&self) -> u64 {
        self.totals.failed
    }

    pub(super) fn finish(self) -> Totals {
        self.totals
    }

    /// Err where the work is deeper than any path that the protocol can say.
    pub(super) fn check_depth(&self) -> Result<(), Fault> {
        let names = self.start.names().iter().chain(&self.below).cloned().collect();
        Ok(WirePath::new(names).map(drop)?)
    }

    /// Where the work is, or as near to it as a path can say.
    pub(super) fn here(&self) -> WirePath {
        self.below(&self.start)
    }

    /// The same place below another start.
    pub(super) fn below(&self, start: &WirePath) -> WirePath {
        let mut here = start.clone();
        for name in &self.below {
            let Ok(further) = here.join(name) else { break };
            here = further;
        }
        here
    }
}

const fn stops_all(code: FaultCode) -> bool {
    matches!(code, FaultCode::Cancelled | FaultCode::ReadOnly)
}
