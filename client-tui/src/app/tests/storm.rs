//! Storms of events in any order: whatever comes, [`App::check`](crate::app::App::check) holds after each.

use proptest::prelude::*;
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::Entry;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;

use crossterm::event::{MouseButton, MouseEventKind};

use super::play::{Play, app, entry, key_of, newer, path};
use crate::app::command::Command;
use crate::app::dialog::Answer;
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::app::hits::Spot;
use crate::model::kept::{KeptJob, LeftJob};
use crate::model::{
    Carry, Choice, Conflict, ConflictKind, JobId, JobProgress, LinkId, Outlook, Question, QuestionKind,
};

/// Every key that means something, and some that do not.
const KEYS: &str = "j k Up Down PageUp PageDown C-d C-u G g Home End Enter Backspace h l Tab X = H L Space Insert v v S-Up S-Down C-a * + - \
    F5 c F6 M y x p F2 r F7 a F8 d / n N f , s t e . # C-r z S-Space w C : E F1 F10 q Esc 1 5 7 BackTab Left Right Delete o b i u ~ t a = r A-5 m ' C-d C-b p J K % w p R J K % L c";

/// What happens next. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Gust {
    Key(usize),
    Type(String),
    Mouse(u8, u16, u16, u8),
    Resize(u16, u16),
    /// Of a generation so many steps back, names by their bits, and whether the listing ends, well or badly.
    List(u64, u16, u8),
    /// The oldest question is answered.
    Answer(u64, bool),
    Connect(usize, u8),
    Progress(u32, u64),
    /// Of a job, with a name, of a kind; or what becomes of it.
    Conflict(u32, u64, u8),
    End(u32, bool),
    Changed(u8),
    /// An earlier `tow` left a job, by its destination.
    Left(usize),
    Pass,
}

fn gust() -> impl Strategy<Value = Gust> {
    prop_oneof![
        12 => (0..100_usize).prop_map(Gust::Key),
        1 => "[a-d /]{1,6}".prop_map(Gust::Type),
        2 => (any::<u8>(), 0..170_u16, 0..60_u16, any::<u8>()).prop_map(|(kind, x, y, spot)| Gust::Mouse(kind, x, y, spot)),
        1 => (1..170_u16, 1..60_u16).prop_map(|(columns, rows)| Gust::Resize(columns, rows)),
        5 => (0..4_u64, any::<u16>(), 0..6_u8).prop_map(|(back, names, end)| Gust::List(back, names, end)),
        2 => (0..6_u64, any::<bool>()).prop_map(|(back, good)| Gust::Answer(back, good)),
        2 => (0..4_usize, 0..7_u8).prop_map(|(link, what)| Gust::Connect(link, what)),
        1 => (0..6_u32, any::<u64>()).prop_map(|(job, bytes)| Gust::Progress(job, bytes)),
        3 => (0..6_u32, 1..9_u64, 0..12_u8).prop_map(|(job, id, what)| Gust::Conflict(job, id, what)),
        1 => (0..6_u32, any::<bool>()).prop_map(|(job, good)| Gust::End(job, good)),
        1 => (0..4_u8).prop_map(Gust::Changed),
        1 => (0..3_usize).prop_map(Gust::Left),
        1 => Just(Gust::Pass),
    ]
}

fn entries(bits: u16) -> Vec<Entry> {
    let names = ["a", "b/", "c=5", "d/", "ab", "ba=18446744073709551615", "left/", "right/", "srv/", "z"];
    let chosen = names.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
    chosen.map(|(_, name)| entry(name)).collect()
}

fn code(number: u8) -> FaultCode {
    [FaultCode::NotFound, FaultCode::PermissionDenied, FaultCode::Disconnected, FaultCode::NotAFolder]
        [usize::from(number) % 4]
}

fn left(server: usize) -> LeftJob {
    let destination = ["", "tow://box1", "tow://box9"][server].to_owned();
    let items = vec![(path("left/a"), path("right/a"))];
    let job = KeptJob {
        carry: Carry::Move,
        source: String::new(),
        destination,
        items,
        existing: Some(Choice::Skip),
        limit: Some(5_000),
        totals: None,
        // Whatever somebody has written there.
        place: [0, 3, u64::MAX][server],
        limit_of_all: Some(9_000),
    };
    LeftJob { ticket: 1, begun_ns: 1, job }
}

fn blow(play: Play, gust: Gust, newest: &mut Newest) -> Play {
    let keys: Vec<&str> = KEYS.split_whitespace().collect();
    match gust {
        Gust::Key(at) => play.event(Event::Key(key_of(keys[at % keys.len()]))),
        Gust::Type(text) => play.event(Event::Paste(text)),
        Gust::Mouse(kind, x, y, spot) => {
            let left = MouseButton::Left;
            let kinds = [
                MouseEventKind::Down(left),
                MouseEventKind::Up(left),
                MouseEventKind::Drag(left),
                MouseEventKind::ScrollDown,
                MouseEventKind::ScrollUp,
            ];
            let spots = [
                None,
                Some(Spot::Button(Answer::Yes)),
                Some(Spot::Button(Answer::No)),
                Some(Spot::Button(Answer::Keep)),
                Some(Spot::Button(Answer::Choose(Choice::KeepBoth))),
                Some(Spot::Button(Answer::Compare)),
                Some(Spot::Key(Command::Copy)),
                Some(Spot::Row(usize::from(spot))),
                Some(Spot::Line),
            ];
            play.mouse(
                kinds[usize::from(kind) % kinds.len()],
                (x, y),
                spots[usize::from(spot) % spots.len()],
                u64::from(x),
            )
        }
        Gust::Resize(columns, rows) => play.event(Event::Resized { columns, rows }),
        Gust::List(back, names, end) => {
            let generation = newest.generation.saturating_sub(back);
            let play = play.event(Event::Listed { generation, total: 10, entries: entries(names) });
            match end {
                0..3 => play.event(Event::ListEnded { generation, outcome: Ok(()) }),
                3 => play,
                end => play.event(Event::ListEnded {
                    generation,
                    outcome: Err(code(end.wrapping_add(names as u8)).into()),
                }),
            }
        }
        Gust::Answer(back, good) => answer(play, newest.ticket.saturating_sub(back), good),
        Gust::Connect(link, what) => play.event(on_the_way(LinkId(link as u32), what)),
        Gust::Progress(job, bytes) => {
            let now = JobProgress { bytes, elapsed_ms: bytes / 7, ..JobProgress::default() };
            play.event(Event::JobProgress { id: JobId(job), now })
        }
        Gust::Conflict(job, conflict, what) => play.event(in_the_way(JobId(job), conflict, what)),
        Gust::End(job, good) => {
            play.job_ends(JobId(job), good, if good { &["left/a", "left/b", "srv/c"] } else { &[] })
        }
        Gust::Changed(at) => {
            let made =
                [path("left/a"), path("right/new"), path("left"), path("srv/c")][usize::from(at)].clone();
            let link = LinkId(u32::from(at) / 3);
            play.event(Event::Changed { link, paths: vec![made.clone()], made: Some(made) })
        }
        Gust::Left(server) => play.event(Event::JobsLeft(vec![left(server)])),
        Gust::Pass => play
            .event(Event::Done { ticket: newest.ticket, link: LinkId(1), outcome: Err(code(1).into()) })
            .event(Event::Tick)
            .waits([Timer::Digit, Timer::Hands, Timer::Rows, Timer::Reconnect(LinkId(1))]),
    }
}

/// Something in the way of a job, or what becomes of it.
fn in_the_way(id: JobId, conflict: u64, what: u8) -> Event {
    match what {
        0 => Event::JobSettled { id, conflict },
        1 => Event::JobCompared { id, conflict, outcome: Ok(true) },
        2 => Event::JobShort { id, needed: conflict, free: 1 },
        what => {
            let kind = ConflictKind::ALL[usize::from(what) % ConflictKind::ALL.len()];
            Event::JobConflict { id, conflict: Conflict { kind, ..newer(conflict, "right/a") } }
        }
    }
}

/// What happens to a connection.
fn on_the_way(link: LinkId, what: u8) -> Event {
    let why = || "gone".to_owned();
    match what {
        0 | 1 => Event::Connected {
            link,
            name: format!("tow://box{}", link.0),
            path: path("srv"),
            round_trip_ms: Some(1),
        },
        2 => Event::NotConnected { link, why: why(), outlook: Outlook::MayPass, at_ns: 1 },
        3 => Event::Disconnected { link, why: why(), at_ns: 1 },
        4 => Event::InstallOffered { link, system: "Linux x86_64".to_owned(), text: why() },
        5 => Event::QuestionOver { ticket: 5 },
        _ => {
            let kind =
                [QuestionKind::Secret, QuestionKind::Confirm, QuestionKind::Notice][link.0 as usize % 3];
            Event::Questioned { link, question: Question { ticket: 5, kind, text: why(), is_again: true } }
        }
    }
}

fn answer(play: Play, ticket: u64, good: bool) -> Play {
    let fault = || Fault::from(FaultCode::NotFound);
    let names = vec![(Name::try_from("abc").unwrap(), false), (Name::try_from("abd").unwrap(), true)];
    let totals = Totals { files: 3, folders: 1, bytes: u64::MAX, ..Totals::default() };
    play.event(Event::Measured { ticket, outcome: if good { Ok(totals) } else { Err(fault()) } })
        .event(Event::Looked { ticket, outcome: if good { Ok(Some(true)) } else { Err(fault()) } })
        .event(Event::Names { ticket, names })
}

/// The newest names that were given.
#[derive(Default)]
struct Newest {
    generation: u64,
    ticket: u64,
}

impl Newest {
    fn look(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::List { generation, .. } => self.generation = *generation,
                Effect::Measure { ticket, .. }
                | Effect::Look { ticket, .. }
                | Effect::MakeFolder { ticket, .. }
                | Effect::MakeFile { ticket, .. }
                | Effect::Rename { ticket, .. }
                | Effect::Names { ticket, .. } => {
                    self.ticket = *ticket;
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_the_state_makes_sense(gusts in prop::collection::vec(gust(), 1..120)) {
        let mut play = app().with(["a", "b/", "c=5"]).line("connme tow://box1");
        let mut newest = Newest { generation: 9, ticket: 1 };
        for gust in gusts {
            play = blow(play, gust, &mut newest);
            newest.look(&play.effects);
        }
    }
}
