//! What lies over the panes. The topmost takes the keys; Esc takes it away. Each kind says which buttons it has.

use towpath_protocol::answer::Totals;
use towpath_protocol::path::{Name, WirePath};

use super::complete::Completion;
use super::conflicts::CHOICES;
use super::connect::Connect;
pub use super::line::Line;
use crate::model::{Carry, Choice, JobId, LinkId, Place, Question, QuestionKind, Secret};

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    Prompt(Prompt),
    Ask(Ask),
    Delete(Delete),
    Conflicts(Conflicts),
    /// What a job has found finds no room.
    Short(Short),
    Connect(Connect),
    /// ssh asks something on the way to a server.
    Question(Questioned),
    /// Nothing of ours is on a server: whether this program may be put there.
    Install(Install),
    /// Jobs run, and what is asked for would stop them.
    Stop(Stop),
    /// Something is to be given up.
    Confirm(Confirm),
    /// An earlier `tow` left jobs.
    Left(Left),
    /// The list of jobs; the cursor is a row of it.
    Jobs {
        cursor: usize,
    },
    Help {
        scroll: usize,
    },
    Log {
        scroll: usize,
    },
    /// The words of the command line.
    Words {
        scroll: usize,
    },
}

/// A line at the bottom of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub kind: PromptKind,
    pub line: Line,
    /// What Tab offers.
    pub completion: Option<Completion>,
    /// Where in the history the line comes from, and what was typed before.
    pub(super) recalled: Option<(usize, String)>,
    /// The problem with the typed text.
    pub problem: Option<&'static str>,
}

/// What a line at the bottom is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptKind {
    Command,
    Find,
    Filter,
}

/// A window with a line to be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub title: String,
    /// What is asked for.
    pub label: Label,
    pub line: Line,
    /// None: the line.
    pub focus: Option<usize>,
    /// Why what is typed will not do.
    pub problem: Option<String>,
    /// A confirmed change is being carried out; the window closes when it is done.
    pub(super) waits: Option<Awaited>,
    pub purpose: Purpose,
}

impl Ask {
    /// A window whose line has the focus.
    pub(super) fn new(title: &str, label: Label, line: Line, purpose: Purpose) -> Self {
        Self { title: title.to_owned(), label, line, focus: None, problem: None, waits: None, purpose }
    }
}

/// The operation that a confirmed line waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// A change, by its ticket.
    Change(u64),
    /// A folder, by the generation of its listing.
    Listing(u64),
}

/// A label with its subject in the middle; if it is too long, only the subject is shortened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    pub before: String,
    pub about: String,
    pub after: String,
}

impl Label {
    pub fn of(before: &str, about: &str, after: &str) -> Self {
        Self { before: before.to_owned(), about: about.to_owned(), after: after.to_owned() }
    }
}

/// What a typed line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    GoTo,
    MakeFolder,
    MakeFile,
    Rename(Name),
    Mark,
    Unmark,
    Carry(CarryPlan),
    /// The code of a server that does not know this client yet.
    Pair(LinkId),
    /// A name for this target.
    Bookmark(String),
    /// Bytes a second, of one job or of all.
    Limit(Option<JobId>),
}

/// What is to be carried; where to is in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarryPlan {
    pub carry: Carry,
    pub source: LinkId,
    pub from: Vec<WirePath>,
    /// The line as it was offered: it names the things' new places, also where those exist.
    pub offered: String,
    /// The folder that a relative path begins at.
    pub(super) base: Place,
    /// Waits for word whether the destination is a folder.
    pub(super) looking: Option<u64>,
    /// What was cut is forgotten once it is pasted.
    pub(super) is_cut: bool,
}

/// A question about things that will go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    pub link: LinkId,
    pub paths: Vec<WirePath>,
    /// None while it is counted.
    pub totals: Option<Totals>,
    pub(super) ticket: u64,
    pub focus: usize,
}

/// What is in the way of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts {
    pub job: JobId,
    /// The name of the one that a decision is about.
    pub cursor: u64,
    pub focus: usize,
    pub reach: Reach,
    /// What can be done about it.
    pub offers: Vec<Choice>,
    /// Whether its two sides can be compared.
    pub can_compare: bool,
}

/// Which conflicts a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The one under the cursor.
    This,
    /// All of its kind, also those that are still to be found.
    Kind,
    All,
}

/// A question whether a job goes on that needs more room than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short {
    pub job: JobId,
    pub needed: u64,
    pub free: u64,
    pub focus: usize,
}

/// What ssh asks, and what is typed as its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questioned {
    pub link: LinkId,
    pub question: Question,
    pub typed: Secret,
    /// None: the line, where there is one.
    pub focus: Option<usize>,
}

/// The offer to put this program on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    pub link: LinkId,
    /// The server's, as it names it.
    pub system: String,
    /// Says what goes where.
    pub text: String,
    pub focus: usize,
}

/// A question before jobs are stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub then: Then,
    /// Whether any of them can wait for the next start.
    pub can_keep: bool,
    pub focus: usize,
}

/// A question about jobs that an earlier `tow` left: `App::left`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub focus: usize,
}

/// A question before something is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    pub what: Doomed,
    pub focus: usize,
}

/// The thing that would be cancelled, discarded or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doomed {
    Job(JobId),
    /// All that an earlier `tow` left.
    Left,
    Bookmark {
        name: String,
        target: String,
    },
}

/// What comes after the jobs were stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Quit,
    Bye(LinkId),
}

/// What a button means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    Choose(Choice),
    /// It is to wait for the next start.
    Keep,
    /// Nobody is to ask about it again.
    Forget,
    /// Turns round how far a choice reaches.
    Reach(Reach),
    /// Whether both sides of a conflict hold the same.
    Compare,
}

/// A button of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    pub label: String,
    /// The letter that means it.
    pub key: Option<char>,
    pub answer: Answer,
    pub is_focused: bool,
}

impl Dialog {
    /// In their order; none for what is only looked at.
    pub fn buttons(&self) -> Vec<Button> {
        let row = |focus: Option<usize>, labels: &[(&str, Option<char>, Answer)]| {
            let button = |(at, (label, key, answer)): (usize, &(&str, Option<char>, Answer))| Button {
                label: (*label).to_owned(),
                key: *key,
                answer: *answer,
                is_focused: focus == Some(at),
            };
            labels.iter().enumerate().map(button).collect()
        };
        match self {
            Self::Prompt(_)
            | Self::Jobs { .. }
            | Self::Help { .. }
            | Self::Log { .. }
            | Self::Connect(_)
            | Self::Words { .. } => Vec::new(),
            Self::Ask(ask) => {
                row(ask.focus, &[(ask.purpose.action(), None, Answer::Yes), ("Cancel", None, Answer::No)])
            }
            Self::Delete(delete) => row(
                Some(delete.focus),
                &[("Cancel", Some('n'), Answer::No), ("Delete", Some('y'), Answer::Yes)],
            ),
            Self::Question(Questioned { question, focus, .. }) => match question.kind {
                QuestionKind::Secret => {
                    row(*focus, &[("Answer", None, Answer::Yes), ("Cancel", None, Answer::No)])
                }
                QuestionKind::Confirm => {
                    row(*focus, &[("No", Some('n'), Answer::No), ("Yes", Some('y'), Answer::Yes)])
                }
                QuestionKind::Notice => row(*focus, &[("Cancel", Some('n'), Answer::No)]),
            },
            Self::Install(install) => row(
                Some(install.focus),
                &[("Cancel", Some('n'), Answer::No), ("Copy", Some('y'), Answer::Yes)],
            ),
            Self::Stop(Stop { then, can_keep, focus }) => {
                let action = if *then == Then::Quit { "Stop and quit" } else { "Stop and disconnect" };
                let mut labels = vec![("Stay", Some('n'), Answer::No), (action, Some('y'), Answer::Yes)];
                if *can_keep {
                    labels.insert(1, ("Keep for next time", Some('k'), Answer::Keep));
                }
                row(Some(*focus), &labels)
            }
            Self::Left(left) => row(
                Some(left.focus),
                &[
                    ("Later", Some('n'), Answer::No),
                    ("Resume", Some('y'), Answer::Yes),
                    ("Discard …", Some('f'), Answer::Forget),
                ],
            ),
            Self::Confirm(Confirm { what, focus }) => {
                let (keep, action) = match what {
                    Doomed::Job(_) => ("Continue", "Cancel the job"),
                    Doomed::Left => ("Keep", "Discard"),
                    Doomed::Bookmark { .. } => ("Keep", "Remove"),
                };
                row(Some(*focus), &[(keep, Some('n'), Answer::No), (action, Some('y'), Answer::Yes)])
            }
            Self::Conflicts(conflicts) => row(Some(conflicts.focus), &conflicts.labels()),
            Self::Short(short) => row(
                Some(short.focus),
                &[("Continue", Some('n'), Answer::No), ("Cancel the job", Some('y'), Answer::Yes)],
            ),
        }
    }
}

impl Conflicts {
    fn labels(&self) -> Vec<(&'static str, Option<char>, Answer)> {
        let offered = CHOICES.iter().filter(|(choice, ..)| self.offers.contains(choice));
        let mut labels: Vec<_> =
            offered.map(|(choice, key, label)| (*label, Some(*key), Answer::Choose(*choice))).collect();
        if self.can_compare {
            labels.push(("Compare", Some('='), Answer::Compare));
        }
        let kind = if self.reach == Reach::Kind { "[x] For this kind" } else { "[ ] For this kind" };
        let all = if self.reach == Reach::All { "[x] For all" } else { "[ ] For all" };
        labels.push((kind, Some('t'), Answer::Reach(Reach::Kind)));
        labels.push((all, Some('a'), Answer::Reach(Reach::All)));
        labels
    }
}

impl Purpose {
    /// What the action is called.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::GoTo => "Go",
            Self::MakeFolder | Self::MakeFile => "Make",
            Self::Rename(_) => "Rename",
            Self::Mark => "Mark",
            Self::Unmark => "Unmark",
            Self::Pair(_) => "Pair",
            Self::Bookmark(_) => "Add",
            Self::Limit(_) => "Set",
            Self::Carry(CarryPlan { carry: Carry::Copy, .. }) => "Copy",
            Self::Carry(_) => "Move",
        }
    }
}
