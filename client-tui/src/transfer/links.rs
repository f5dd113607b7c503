//! Symbolic links that a copy follows on request. Each is resolved here, name by name and link by link, so that it ends at a path
//! with no link in it. That path is then read below the place that the copy began at, where no side follows a link: whatever is
//! swapped meanwhile, nothing from outside is read.

use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::Follow;

use super::plan::look_at_all;
use crate::link::Link;

/// Links on the way to what one leads to, as many as the system takes.
const LINKS_MAX: usize = 40;
/// Names that are looked at on the way.
const NAMES_MAX: usize = 1024;
/// Names that may follow at a time, all links on the way together.
const REST_MAX: usize = 256;
/// Links that are followed at a time.
const LINKS_AT_ONCE: usize = 1024;

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    Outside,
    Dangling,
    Circle,
    Above,
    Nested,
    Special,
    Unreadable,
}

impl Stays {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Outside => "stays a link: it leads out of what is copied",
            Self::Dangling => "stays a link: it leads nowhere",
            Self::Circle => "stays a link: it leads in a circle, or too far",
            Self::Above => "stays a link: it leads to a folder that holds it",
            Self::Nested => "stays a link: too many links to folders were followed one within the other",
            Self::Special => "stays a link: what it leads to is neither a regular file nor a folder",
            Self::Unreadable => "stays a link: what it leads to cannot be read",
        }
    }
}

/// What a link leads to: a path without links, and what is there.
#[derive(Debug)]
pub(super) struct End {
    pub(super) path: WirePath,
    /// None of where the way began.
    pub(super) attributes: Option<Attributes>,
}

/// The way to what a link leads to.
#[derive(Debug)]
pub(super) struct Chase {
    /// Folders, none of them a link.
    at: Vec<Name>,
    /// The leading names that the way must not leave.
    floor: usize,
    /// Whether an absolute link begins where `at` does.
    is_from_root: bool,
    /// What follows, the next one last.
    rest: Vec<Box<[u8]>>,
    links: usize,
    names: usize,
    last: Option<Attributes>,
}

impl Chase {
    /// Of a link to `target` in a folder, where its first `floor` names must not be left.
    pub(super) fn of(folder: &[Name], floor: usize, target: &[u8]) -> Result<Self, Stays> {
        let (at, rest) = (folder.to_vec(), Vec::new());
        let mut chase = Self { at, floor, is_from_root: false, rest, links: 0, names: 0, last: None };
        chase.lead(target)?;
        Ok(chase)
    }

    /// Of a path from the root.
    fn of_path(path: &WirePath) -> Self {
        let rest = path.names().iter().rev().map(|name| name.as_bytes().into()).collect();
        Self { at: Vec::new(), floor: 0, is_from_root: true, rest, links: 0, names: 0, last: None }
    }

    fn lead(&mut self, target: &[u8]) -> Result<(), Stays> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Stays::Circle);
        }
        if target.starts_with(b"/") {
            if !self.is_from_root {
                return Err(Stays::Outside);
            }
            self.at.clear();
        }
        let mut names = target.split(|byte| *byte == b'/').rev();
        // Also an empty one: what a slash follows must be a folder.
        self.rest.extend(names.next().map(Box::from));
        self.rest.extend(names.filter(|name| !matches!(*name, b"" | b".")).map(Box::from));
        if self.rest.len() > REST_MAX { Err(Stays::Circle) } else { Ok(()) }
    }

    /// What must be looked at next; none where the way ends in a folder.
    fn next(&mut self) -> Result<Option<WirePath>, Stays> {
        while let Some(next) = self.rest.pop() {
            match &*next {
                b"" | b"." => {}
                b".." if self.at.len() <= self.floor => return Err(Stays::Outside),
                b".." => drop(self.at.pop()),
                name => {
                    self.names += 1;
                    if self.names > NAMES_MAX {
                        return Err(Stays::Circle);
                    }
                    self.at.push(Name::new(name).map_err(|_| Stays::Dangling)?);
                    return self.path().map(Some);
                }
            }
        }
        Ok(None)
    }

    fn path(&self) -> Result<WirePath, Stays> {
        WirePath::new(self.at.clone()).map_err(|_| Stays::Dangling)
    }

    /// Takes what is there. Whether the way ends with it.
    fn looked(&mut self, there: Result<Attributes, FaultCode>) -> Result<bool, Stays> {
        let there = match there {
            Ok(there) => there,
            Err(FaultCode::NotFound | FaultCode::NotAFolder | FaultCode::NameTooLong) => {
                return Err(Stays::Dangling);
            }
            // A link where a folder was a moment ago.
            Err(FaultCode::OutsideRoot) => return Err(Stays::Outside),
            Err(_) => return Err(Stays::Unreadable),
        };
        match there.kind {
            Kind::Link => {
                self.at.pop();
                let target = there.link.ok_or(Stays::Unreadable)?;
                self.lead(&target.bytes)?;
                return Ok(false);
            }
            Kind::File if self.rest.is_empty() => {}
            Kind::File => return Err(Stays::Dangling),
            Kind::Folder => {}
            _ => return Err(Stays::Special),
        }
        let is_end = there.kind == Kind::File;
        self.last = Some(there);
        Ok(is_end)
    }

    fn end(&mut self) -> Result<End, Stays> {
        Ok(End { path: self.path()?, attributes: self.last.take() })
    }
}

/// Follows many links at once, each below `base`, as far as it is not known already that one stays. Err where nothing can be looked at.
pub(super) async fn follow(
    link: &Link,
    base: &WirePath,
    chases: Vec<Result<Chase, Stays>>,
) -> Result<Vec<Result<End, Stays>>, Fault> {
    let mut ends = Vec::with_capacity(chases.len());
    let mut chases = chases.into_iter().peekable();
    while chases.peek().is_some() {
        ends.extend(follow_some(link, base, chases.by_ref().take(LINKS_AT_ONCE).collect()).await?);
    }
    Ok(ends)
}

async fn follow_some(
    link: &Link,
    base: &WirePath,
    chases: Vec<Result<Chase, Stays>>,
) -> Result<Vec<Result<End, Stays>>, Fault> {
    let (mut ends, mut under_way) = (Vec::with_capacity(chases.len()), Vec::with_capacity(chases.len()));
    for (index, chase) in chases.into_iter().enumerate() {
        ends.push(Err(chase.as_ref().err().copied().unwrap_or(Stays::Unreadable)));
        under_way.extend(chase.ok().map(|chase| (index, chase)));
    }
    while !under_way.is_empty() {
        let mut asked = Vec::with_capacity(under_way.len());
        for (index, mut chase) in under_way {
            match chase.next() {
                Ok(Some(path)) => asked.push((index, chase, path)),
                Ok(None) => ends[index] = chase.end(),
                Err(stays) => ends[index] = Err(stays),
            }
        }
        let paths: Vec<WirePath> = asked.iter().map(|(.., path)| path.clone()).collect();
        let looked = look_at_all(link, base, &paths).await?;
        under_way = Vec::new();
        for ((index, mut chase, _), there) in asked.into_iter().zip(looked) {
            match chase.looked(there) {
                Ok(false) => under_way.push((index, chase)),
                Ok(true) => ends[index] = chase.end(),
                Err(stays) => ends[index] = Err(stays),
            }
        }
    }
    Ok(ends)
}

/// What a link that somebody points at leads to, wherever that is within the root: a path without links. None where it leads nowhere,
/// or elsewhere than the server itself says.
pub async fn behind(link: &Link, path: &WirePath) -> Result<Option<WirePath>, Fault> {
    let Ok(there) = link.stat(path, Follow::Yes).await else { return Ok(None) };
    let end = follow(link, &WirePath::root(), vec![Ok(Chase::of_path(path))]).await?.pop();
    let Some(Ok(End { path, attributes: Some(found) })) = end else { return Ok(None) };
    Ok((found.identity == there.identity && found.kind == there.kind).then_some(path))
}
