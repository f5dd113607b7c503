//! What can be in the way of something that is to be carried, and what may be done about it.

use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::path::Location;

/// How what is there differs from what is to come. One of the same size and time is unchanged, and no conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// The source was modified later.
    Newer,
    /// The source was modified earlier.
    Older,
    /// The same time, and another size or target.
    SameTime,
    /// A link in the way of a file, or a file in the way of a link.
    LinkOrFile,
    /// A folder in the way of a file or link, or one of these in the way of a folder.
    Folder,
    /// The destination takes this name and another one of the source for the same.
    Case,
}

/// What to do about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    Overwrite,
    Skip,
    /// The new one is called `name (2).ext`.
    KeepBoth,
    /// Overwrite where the source was modified later, else skip.
    NewerOnly,
    /// Overwrite where the content differs.
    Different,
    /// Complete what is there, where it is the beginning of the source, else skip.
    Resume,
}

/// Which conflicts a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    One(u64),
    /// Also those that are found later.
    Kind(ConflictKind),
    /// Of every kind that offers the choice; also those that are found later.
    All,
}

/// Something that is in the way and waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Names it within its job.
    pub id: u64,
    pub kind: ConflictKind,
    pub from: Location,
    pub to: Location,
    pub source: Attributes,
    /// None where the other thing has not been carried yet.
    pub there: Option<Attributes>,
}

impl ConflictKind {
    pub const ALL: [Self; 6] =
        [Self::Newer, Self::Older, Self::SameTime, Self::LinkOrFile, Self::Folder, Self::Case];

    /// Of what is to come and what is there.
    pub fn of(source: &Attributes, there: &Attributes) -> Self {
        match (source.kind == Kind::Folder, there.kind == Kind::Folder) {
            (false, false) if source.kind != there.kind => Self::LinkOrFile,
            (false, false) if source.modified > there.modified => Self::Newer,
            (false, false) if source.modified < there.modified => Self::Older,
            (false, false) => Self::SameTime,
            _ => Self::Folder,
        }
    }

    /// Whether a decision for all of this kind may be this one. Where it cannot be carried out for one of them, that is skipped.
    pub const fn offers(self, choice: Choice) -> bool {
        match choice {
            Choice::Skip | Choice::KeepBoth => true,
            Choice::Overwrite | Choice::NewerOnly => !matches!(self, Self::Folder | Self::Case),
            Choice::Different | Choice::Resume => matches!(self, Self::Newer | Self::Older | Self::SameTime),
        }
    }

    /// What so many of them are.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Newer => "newer than what is there",
            Self::Older => "older than what is there",
            Self::SameTime => "of another size and the same time",
            Self::LinkOrFile => "link and file",
            Self::Folder => "folder and file",
            Self::Case => "the same name but for its case",
        }
    }

    /// The same for machines, and where there is little room.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Newer => "newer",
            Self::Older => "older",
            Self::SameTime => "same-time",
            Self::LinkOrFile => "link-or-file",
            Self::Folder => "folder",
            Self::Case => "case",
        }
    }
}

impl Choice {
    pub const ALL: [Self; 6] =
        [Self::Overwrite, Self::Skip, Self::KeepBoth, Self::NewerOnly, Self::Different, Self::Resume];
}

impl Conflict {
    /// Whether this one may be decided so.
    pub fn offers(&self, choice: Choice) -> bool {
        let of_files = |needs: fn(&Attributes, &Attributes) -> bool| {
            self.there.as_ref().is_some_and(|there| {
                self.source.kind == Kind::File && there.kind == Kind::File && needs(&self.source, there)
            })
        };
        self.kind.offers(choice)
            && match choice {
                Choice::Different => of_files(|_, _| true),
                Choice::Resume => of_files(|source, there| there.size < source.size),
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use towpath_protocol::time::Time;

    use super::*;

    const fn attributes(kind: Kind, modified: i64, size: u64) -> Attributes {
        let (modified, changed) = (Time::from_ns(modified), Time::from_ns(0));
        let (mode, identity, is_unknown, link) = (0o644, 1, false, None);
        Attributes { kind, size, modified, changed, mode, identity, is_unknown, link }
    }

    #[test]
    fn every_pair_of_sides_has_its_kind_and_its_choices() {
        use Choice::{Different, KeepBoth, NewerOnly, Overwrite, Resume, Skip};
        let file = |modified, size| attributes(Kind::File, modified, size);
        let (link, folder) = (attributes(Kind::Link, 5, 1), attributes(Kind::Folder, 5, 0));
        let plain: &[Choice] = &[Overwrite, Skip, KeepBoth, NewerOnly, Different];
        let shorter: &[Choice] = &[Overwrite, Skip, KeepBoth, NewerOnly, Different, Resume];
        let cases = [
            (file(2, 9), file(1, 9), ConflictKind::Newer, plain),
            (file(2, 9), file(1, 8), ConflictKind::Newer, shorter),
            (file(1, 9), file(2, 10), ConflictKind::Older, plain),
            (file(1, 9), file(1, 8), ConflictKind::SameTime, shorter),
            (link.clone(), file(9, 0), ConflictKind::LinkOrFile, &[Overwrite, Skip, KeepBoth, NewerOnly]),
            (link.clone(), link.clone(), ConflictKind::SameTime, &[Overwrite, Skip, KeepBoth, NewerOnly]),
            (file(9, 9), folder.clone(), ConflictKind::Folder, &[Skip, KeepBoth]),
            (folder, link, ConflictKind::Folder, &[Skip, KeepBoth]),
        ];
        for (source, there, kind, choices) in cases {
            let found = ConflictKind::of(&source, &there);
            assert_eq!(found, kind, "{source:?} {there:?}");
            let place = Location::of(&towpath_protocol::path::WirePath::root());
            let (from, to) = (place.clone(), place);
            let conflict = Conflict { id: 1, kind, from, to, source, there: Some(there) };
            let offered: Vec<_> = Choice::ALL.into_iter().filter(|choice| conflict.offers(*choice)).collect();
            assert_eq!(offered, choices, "{conflict:?}");
        }
    }
}
