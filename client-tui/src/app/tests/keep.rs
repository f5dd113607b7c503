//! What the journal is told, what quitting and closing make of jobs, and what becomes of those that an earlier `tow` left.

use towpath_protocol::fault::{Fault, FaultCode};

use super::play::{Play, app, path};
use crate::app::dialog::Dialog;
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::app::jobs::Hold;
use crate::model::kept::{KeptId, KeptJob, LeftJob};
use crate::model::{Asking, Carry, Choice, JobId, JobProgress, LinkId, Outlook, Side};

fn kept(destination: &str) -> KeptJob {
    KeptJob {
        carry: Carry::Copy,
        source: String::new(),
        destination: destination.to_owned(),
        items: vec![(path("left/a"), path("srv/a"))],
        existing: None,
        limit: None,
        totals: None,
        place: 1,
        limit_of_all: None,
    }
}

/// The newest thing that was written of a job.
fn noted(play: &Play) -> (JobId, KeptJob) {
    match play.notes.as_slice() {
        [Effect::Keep { job, kept }] => (*job, kept.clone()),
        other => panic!("{other:?}"),
    }
}

const JOB: KeptId = KeptId::Job(JobId(1));

#[test]
fn a_copy_is_in_the_journal_from_when_it_is_queued_until_it_is_over() {
    let play = app().with(["a"]).connected([]).press("j F5 Enter");
    assert_eq!(noted(&play), (JobId(1), kept("tow://box:7171")));
    assert_eq!(play.press("j").notes, []);
    let play = app().with(["a"]).connected([]).press("j F5 Enter").job_ends(JobId(1), true, &["left/a"]);
    assert_eq!(play.notes, [Effect::Forget(JOB)]);
    // Cancelled by a person it is over too; one that failed can be done again as long as the view shows it.
    let play = app().with(["a"]).connected([]).press("j F5 Enter w x y").job_ends(JobId(1), false, &[]);
    assert_eq!(play.notes, [Effect::Forget(JOB)]);
    // A deletion is never kept.
    assert_eq!(app().with(["a"]).press("j d y").notes, []);
}

#[test]
fn what_is_said_of_a_job_is_noted_and_its_totals_once_they_are_known() {
    let play = app().with(["a"]).connected([]).press("j F5 Enter");
    let limited = play.press("w %").types("1.5").press("Enter");
    assert_eq!(noted(&limited).1.limit, Some(1_500_000));
    let now = |elapsed_ms, growing| JobProgress {
        files_total: 3,
        bytes_total: 42,
        growing,
        elapsed_ms,
        ..JobProgress::default()
    };
    let play = app().with(["a"]).connected([]).press("j F5 Enter");
    let play = play.event(Event::JobProgress { id: JobId(1), now: now(900, false) });
    assert_eq!(play.notes, [], "it may be over at once");
    let play = play.event(Event::JobProgress { id: JobId(1), now: now(1_000, true) });
    assert_eq!(play.notes, []);
    let play = play.event(Event::JobProgress { id: JobId(1), now: now(1_100, false) });
    assert_eq!(noted(&play).1.totals, Some((3, 42)));
    let play = play.event(Event::JobProgress { id: JobId(1), now: now(1_200, false) });
    assert_eq!(play.notes, []);
}

#[test]
fn what_a_lost_connection_cut_off_stays_in_the_journal() {
    let play = app().with(["a", "b"]).connected([]).press("C-a F5 Enter");
    let stopped = Some(Fault::new(FaultCode::Disconnected));
    let done = vec![path("left/a")];
    let play =
        play.event(Event::JobEnded { id: JobId(1), good: false, stopped, text: "copied".into(), done });
    let [Effect::Keep { job, kept }, Effect::Forget(JOB)] = play.notes.as_slice() else {
        panic!("{:?}", play.notes)
    };
    assert_eq!((*job, kept.items.len()), (JobId(2), 1));
}

#[test]
fn quitting_stops_the_jobs_or_keeps_them_or_stays() {
    let play = || app().with(["a", "b", "c"]).press("j F5 Enter j F5 Enter j F5 Enter q");
    assert_eq!(play().press("Enter").app.dialogs, [], "the safe answer has the focus");
    assert_eq!(play().press("Esc").effects, []);
    let stops = play().press("y");
    assert_eq!(stops.effects, [Effect::Quit]);
    assert_eq!(stops.notes, [1, 2, 3].map(|id| Effect::Forget(KeptId::Job(JobId(id)))));
    for keys in ["k", "Right Enter"] {
        let keeps = play().press(keys);
        assert_eq!(keeps.notes, []);
        let leave = |id| Effect::LeaveJob(JobId(id));
        assert_eq!(keeps.effects, [leave(1), leave(2), Effect::Quit], "{keys}: the third one only waits");
    }
    // Nothing can be kept of a deletion, nor where there is no journal.
    let play = app().with(["a"]).press("j d y q k");
    assert!(matches!(play.app.dialogs.last(), Some(Dialog::Stop(stop)) if !stop.can_keep));
    let mut play = app().with(["a"]);
    play.app.keeps_jobs = false;
    let play = play.press("j F5 Enter");
    assert_eq!(play.notes, []);
    assert!(matches!(play.press("q").app.dialogs.last(), Some(Dialog::Stop(stop)) if !stop.can_keep));
}

#[test]
fn a_connection_that_is_closed_can_leave_its_jobs_for_next_time() {
    let mut play = app().with(["a"]).connected([]).press("j");
    for _ in 0..3 {
        play = play.press("F5 Enter");
    }
    let play = play.line("byebye").press("k");
    assert_eq!(play.notes, [Effect::Leave(KeptId::Job(JobId(3)))], "the one that waited");
    assert!(play.effects.contains(&Effect::LeaveJob(JobId(1))), "{:?}", play.effects);
    let play = play.job_ends(JobId(1), false, &[]);
    assert_eq!(play.notes, [Effect::Leave(JOB)]);
}

#[test]
fn where_there_can_be_no_journal_nothing_is_offered_to_be_kept() {
    let play = app().with(["a"]).press("j F5 Enter").event(Event::NoJournal("no space".into()));
    assert_eq!(play.said(), "cannot save jobs for the next start: no space");
    assert!(matches!(play.press("q").app.dialogs.last(), Some(Dialog::Stop(stop)) if !stop.can_keep));
}

fn left(ticket: u64, destination: &str) -> LeftJob {
    LeftJob { ticket, begun_ns: 1, job: KeptJob { place: ticket, ..kept(destination) } }
}

/// Two jobs were left, and the question is open.
fn with_left() -> Play {
    let jobs = vec![left(7, ""), left(8, "tow://box")];
    app().event(Event::JobsLeft(jobs)).press("o")
}

#[test]
fn what_was_left_is_asked_about_and_never_goes_on_by_itself() {
    // No key for the panes answers it.
    for keys in ["f", "f Enter", "y", "n", "Enter", "k", "Esc", "f f y"] {
        let play = app().event(Event::JobsLeft(vec![left(7, "")]));
        assert_eq!((play.app.dialogs.len(), play.app.answers_wanted()), (0, 1));
        let play = play.press(keys);
        assert_eq!((play.notes.len(), play.app.jobs.len(), play.app.left.len()), (0, 0, 1), "{keys}");
    }
    // Later it is there still.
    for keys in ["Enter", "n", "Esc", "C-c", "f Enter Esc", "f n Esc"] {
        let play = with_left().press(keys);
        assert_eq!((play.notes.len(), play.app.left.len(), play.app.dialogs.len()), (0, 2, 0), "{keys}");
    }
    let play = with_left().press("f");
    assert_eq!(play.notes, [], "discarding asks");
    let play = play.press("y");
    assert_eq!(play.notes, [7, 8].map(|ticket| Effect::Forget(KeptId::Left(ticket))));
    assert_eq!((play.app.left.len(), play.app.dialogs.len()), (0, 0));
    assert_eq!(app().event(Event::JobsLeft(Vec::new())).app.answers_wanted(), 0);
}

#[test]
fn what_was_left_goes_on_and_its_servers_are_connected_to() {
    let play = with_left().press("y");
    assert_eq!(
        play.notes,
        [Effect::TakeUp { ticket: 7, job: JobId(1) }, Effect::TakeUp { ticket: 8, job: JobId(2) }],
    );
    let [Effect::Connect { link, target, asking: Asking::Allowed }, Effect::Carry { job: JobId(1), .. }] =
        play.effects.as_slice()
    else {
        panic!("{:?}", play.effects)
    };
    assert_eq!(target, "tow://box");
    assert_eq!(play.app.jobs[1].hold, Some(Hold::Connection));
    let (link, name) = (*link, "tow://box".to_owned());
    let play = play.event(Event::Connected { link, name, path: path("srv"), round_trip_ms: None });
    let begun = play.effects.iter().any(|effect| matches!(effect, Effect::Carry { job: JobId(2), .. }));
    assert!(begun, "{:?}", play.effects);
    assert_eq!(play.job_ends(JobId(2), true, &[]).notes, [Effect::Forget(KeptId::Job(JobId(2)))]);
}

#[test]
fn what_was_left_uses_the_connection_that_is_there() {
    let play = app().connected([]).event(Event::JobsLeft(vec![left(7, "tow://box")]));
    let link = play.link(Side::Right);
    let play = play.press("o y");
    let [Effect::Carry { destination, items, .. }] = play.effects.as_slice() else {
        panic!("{:?}", play.effects)
    };
    assert_eq!((*destination, items.as_slice()), (link, kept("").items.as_slice()));
    assert_ne!(link, LinkId::LOCAL);
}

#[test]
fn a_server_that_is_not_there_yet_is_tried_again_for_the_jobs_that_wait_for_it() {
    let play = with_left().press("y");
    let link = play.app.servers[0].link;
    let failed = |outlook| Event::NotConnected { link, why: "connection refused".into(), outlook, at_ns: 1 };
    let play = play.event(failed(Outlook::MayPass));
    assert_eq!(play.effects, [Effect::Wait { timer: Timer::Reconnect(link), ms: 1_000 }]);
    let play = play.waits([Timer::Reconnect(link)]);
    let again = |play: &Play, asking| {
        play.effects == [Effect::Connect { link, target: "tow://box".to_owned(), asking }]
    };
    assert!(again(&play, Asking::Forbidden), "{:?}", play.effects);
    // Where that is of no use, it waits for a person.
    let play = play.event(failed(Outlook::Stays));
    assert_eq!((play.effects.len(), play.app.jobs.len()), (0, 2));
    assert!(again(&play.press("w j p"), Asking::Allowed));
}

#[test]
fn a_pane_whose_server_jobs_wait_for_says_that_it_is_tried_again_and_shows_it_once_it_is_there() {
    let play = app().line("connme tow://box/srv");
    let link = play.app.servers[0].link;
    let play = play.event(Event::JobsLeft(vec![left(7, "tow://box")])).press("o y");
    assert_eq!(play.effects, [], "it is being connected to");
    let play = play.event(Event::NotConnected {
        link,
        why: "connection refused".into(),
        outlook: Outlook::MayPass,
        at_ns: 1,
    });
    let side = Side::Right;
    assert_eq!(play.link(side), link, "the pane stays");
    assert!(play.app.pane(side).fault.as_ref().is_some_and(|text| text.contains("retrying")));
    let name = "tow://box".to_owned();
    let play = play.waits([Timer::Reconnect(link)]).event(Event::Connected {
        link,
        name,
        path: path("srv"),
        round_trip_ms: None,
    });
    assert_eq!(play.app.pane(side).place.path, path("srv"));
    assert!(play.effects.iter().any(|effect| matches!(effect, Effect::Carry { .. })), "{:?}", play.effects);
}

#[test]
fn what_was_said_for_all_is_not_asked_again() {
    let mut job = left(7, "");
    (job.job.existing, job.job.limit) = (Some(Choice::Skip), Some(5_000));
    let play = app().event(Event::JobsLeft(vec![job])).press("o y");
    let [Effect::Carry { existing, .. }, Effect::Limit { bytes_per_second, .. }] = play.effects.as_slice()
    else {
        panic!("{:?}", play.effects)
    };
    assert_eq!((*existing, *bytes_per_second), (Some(Choice::Skip), Some(5_000)));
}

#[test]
fn what_all_jobs_are_allowed_and_their_order_are_noted_and_hold_again() {
    let play = app().with(["a", "b", "c", "d"]);
    let play = (0..4).fold(play, |play, _| play.press("j F5 Enter"));
    let of = |play: &Play| -> Vec<(u32, u64, Option<u64>)> {
        let kept = play.notes.iter().map(|note| match note {
            Effect::Keep { job, kept } => (job.0, kept.place, kept.limit_of_all),
            other => panic!("{other:?}"),
        });
        kept.collect()
    };
    assert_eq!(of(&play), [(4, 4, None)]);
    // The last one, which waits, goes before the one that waits before it.
    let play = play.press("w G K");
    assert_eq!(of(&play), [(4, 3, None), (3, 4, None)]);
    let play = play.press("L").types("1.5").press("Enter");
    let limit = Some(1_500_000);
    assert_eq!(of(&play), [(1, 1, limit), (2, 2, limit), (4, 3, limit), (3, 4, limit)]);

    let mut jobs = vec![left(7, ""), left(9, "")];
    jobs[0].job.limit_of_all = limit;
    let play = app().event(Event::JobsLeft(jobs.clone())).press("o y");
    assert_eq!((play.app.limit, play.app.jobs[0].place, play.app.jobs[1].place), (limit, 7, 9));
    assert!(
        play.effects.contains(&Effect::Limit { job: None, bytes_per_second: limit }),
        "{:?}",
        play.effects
    );
    let noted: Vec<_> = play.notes.iter().filter(|note| matches!(note, Effect::Keep { .. })).collect();
    assert!(matches!(noted[..], [Effect::Keep { job: JobId(2), .. }]), "the other was noted so: {noted:?}");
    // Behind what is queued already, and by what was said here.
    let play = app().with(["a"]).press("j F5 Enter w L").types("2").press("Enter Esc");
    jobs[0].job.place = 0;
    let play = play.event(Event::JobsLeft(jobs)).press("o y");
    let places: Vec<_> = play.app.jobs.iter().map(|job| job.place).collect();
    assert_eq!((play.app.limit, places.as_slice()), (Some(2_000_000), &[1, 2, 9][..]));
}

#[test]
fn a_job_keeps_its_target_wherever_the_panes_go() {
    let play = app().with(["a"]).there(["sub/"]);
    let play = play.press("j F5 Enter F5 Enter F5 Enter Tab j l");
    assert_eq!(play.app.pane(Side::Right).place.path, path("right/sub"));
    let play = play.lists(Side::Right, []).press("X").job_ends(JobId(1), true, &[]);
    let items = play.effects.iter().find_map(|effect| match effect {
        Effect::Carry { job: JobId(3), items, .. } => Some(items.clone()),
        _ => None,
    });
    assert_eq!(items.unwrap(), [(path("left/a"), path("right/a"))]);
}
