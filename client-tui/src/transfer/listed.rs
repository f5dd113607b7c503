//! Names that alone are copied, as `--files-from` gives them: which paths of a walk they take, and which of them a walk never met.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::WirePath;

use super::plan::look_at_all;
use super::shared::Shared;

/// Why a name that is there was not copied.
const NOT_MET: &str =
    "it is there, but behind a link or in a folder that cannot be listed, or its name is spelled otherwise";

/// The names of a list, relative to a SOURCE.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Sorted, each once. The empty one is SOURCE itself.
    names: Arc<[Box<[u8]>]>,
    /// Which of them a walk has met.
    met: Arc<[AtomicBool]>,
    source: WirePath,
}

/// How a list takes a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is named, or a folder above it is.
    Named,
    /// Something below it is named.
    Way,
    Out,
}

impl Listed {
    pub fn new(names: impl IntoIterator<Item = WirePath>) -> Self {
        let mut names: Vec<Box<[u8]>> = names.into_iter().map(|name| name.to_bytes().into()).collect();
        names.sort_unstable();
        names.dedup();
        Self { met: unmet_yet(names.len()), names: names.into(), source: WirePath::root() }
    }

    /// The same names below one SOURCE, none of them met yet.
    #[must_use]
    pub(super) fn of_source(&self, source: WirePath) -> Self {
        Self { names: self.names.clone(), met: unmet_yet(self.names.len()), source }
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        self.names.binary_search_by(|name| (**name).cmp(path)).ok()
    }

    /// How the list takes a path below SOURCE. A name of that path counts as met.
    pub(super) fn part(&self, below: &WirePath) -> Part {
        let mut path = below.to_bytes();
        if let Some(at) = self.find(&path) {
            self.met[at].store(true, Ordering::Relaxed);
            return Part::Named;
        }
        let mut slashes = (0..path.len()).filter(|at| path[*at] == b'/');
        if self.find(b"").is_some() || slashes.any(|at| self.find(&path[..at]).is_some()) {
            return Part::Named;
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        let next = self.names.partition_point(|name| **name < *path);
        let is_way = self.names.get(next).is_some_and(|name| name.starts_with(&path));
        if is_way { Part::Way } else { Part::Out }
    }

    /// Names that no walk has met.
    fn unmet(&self) -> impl Iterator<Item = &[u8]> {
        let names = self.names.iter().zip(&*self.met);
        let unmet = names.filter(|(name, is_met)| !name.is_empty() && !is_met.load(Ordering::Relaxed));
        unmet.map(|(name, _)| &**name)
    }
}

fn unmet_yet(count: usize) -> Arc<[AtomicBool]> {
    (0..count).map(|_| AtomicBool::new(false)).collect()
}

/// Tells each name that was not met while everything was walked, with what is at its place.
pub(super) async fn tell_unmet(shared: &Shared) -> Result<(), Fault> {
    let job = &shared.job;
    let Some(listed) = job.excludes.listed() else { return Ok(()) };
    let (mut names, mut places) = (Vec::new(), Vec::new());
    for name in listed.unmet() {
        let name = WirePath::parse(name);
        match name.and_then(|name| Ok((listed.source.join_path(&name)?, name))) {
            Ok((place, name)) => {
                names.push(name);
                places.push(place);
            }
            Err(error) => shared.failed(Fault::from(error).at(listed.source.clone())).await,
        }
    }
    let looked = look_at_all(&job.source, &listed.source, &names).await?;
    for (place, looked) in places.into_iter().zip(looked) {
        let fault = match looked {
            Ok(_) => Fault::new(FaultCode::NotFound).because(NOT_MET),
            Err(code) => Fault::new(code),
        };
        shared.failed(fault.at(place)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> WirePath {
        WirePath::parse(text.as_bytes()).unwrap()
    }

    fn listed(names: &[&str]) -> Listed {
        Listed::new(names.iter().map(|name| path(name)))
    }

    #[test]
    fn a_list_takes_what_it_names_all_below_that_and_the_way_there() {
        // `-` and `.` sort before `/`, `0` behind it.
        let listed = listed(&["a-b", "a/x/y", "a.c", "a0", "whole", "whole/in", "a-b"]);
        for (below, part) in [
            ("", Part::Way),
            ("a", Part::Way),
            ("a/x", Part::Way),
            ("a/x/y", Part::Named),
            ("a/x/y/z/deep", Part::Named),
            ("a/x/yy", Part::Out),
            ("a/y", Part::Out),
            ("a-", Part::Out),
            ("a-b", Part::Named),
            ("a0/in", Part::Named),
            ("whole/in", Part::Named),
            ("whole/other", Part::Named),
            ("wholes", Part::Out),
        ] {
            assert_eq!(listed.part(&path(below)), part, "{below}");
        }
        let unmet: Vec<_> = listed.unmet().collect();
        assert_eq!(unmet, [&b"a.c"[..], b"a0", b"whole"]);
        assert_eq!(listed.of_source(path("elsewhere")).unmet().count(), 6);
    }

    #[test]
    fn source_itself_is_everything_and_no_name_is_nothing() {
        assert_eq!(listed(&["."]).part(&path("any/thing")), Part::Named);
        assert_eq!(listed(&["."]).unmet().count(), 0);
        assert_eq!(listed(&[]).part(&path("")), Part::Out);
        assert_eq!(listed(&[]).part(&path("any")), Part::Out);
    }
}
