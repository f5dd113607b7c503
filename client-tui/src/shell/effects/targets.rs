//! What is known of targets outside this session: those of late, ssh's hosts, and the bookmarks in the configuration file.

use std::path::PathBuf;
use std::time::Duration;

use super::Effects;
use crate::app::event::Event;
use crate::config::file::keep_bookmark;
use crate::config::ssh_hosts::ssh_hosts;
use crate::shell::recent;

/// Where it is kept; what has no place is not kept.
#[derive(Debug, Clone, Default)]
pub(in crate::shell) struct Kept {
    pub(in crate::shell) state_dir: Option<PathBuf>,
    pub(in crate::shell) config_file: Option<PathBuf>,
    pub(in crate::shell) home: Option<PathBuf>,
    /// For how long the journal keeps jobs that nobody comes back for.
    pub(in crate::shell) age_max: Duration,
}

impl Effects {
    pub(super) fn known_targets(&self) {
        let (events, kept) = (self.events.clone(), self.kept.clone());
        tokio::spawn(async move {
            let read = tokio::task::spawn_blocking(move || {
                let recent = kept.state_dir.map_or_else(Vec::new, |folder| recent::recent(&folder));
                (recent, kept.home.map_or_else(Vec::new, |home| ssh_hosts(&home)))
            });
            if let Ok((recent, hosts)) = read.await {
                let _ = events.send(Event::TargetsKnown { recent, hosts }).await;
            }
        });
    }

    /// A target that was connected to, or that is to be forgotten.
    pub(super) fn note_target(&self, target: String, stays: bool) {
        let Some(folder) = self.kept.state_dir.clone() else { return };
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = recent::note(&folder, &target, stays) {
                tracing::warn!(%fault, "recent targets");
            }
        });
    }

    pub(super) fn keep_bookmark(&self, name: String, target: Option<String>) {
        let (events, path) = (self.events.clone(), self.kept.config_file.clone());
        tokio::spawn(async move {
            let kept = tokio::task::spawn_blocking(move || match path {
                Some(path) => keep_bookmark(&path, &name, target.as_deref()),
                None => Err(anyhow::anyhow!("there is no folder for the configuration: set HOME")),
            });
            if let Ok(Err(error)) = kept.await {
                let text = format!("the bookmark is not kept: {error:#}");
                let _ = events.send(Event::Said { good: false, text }).await;
            }
        });
    }
}
