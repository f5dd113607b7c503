//! The queue: what runs, what waits, and what the jobs view does with it.

use towpath_protocol::fault::{Fault, FaultCode};

use super::play::{Play, app, newer, path};
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::app::jobs::{Before, Work};
use crate::model::{Choice, JobId, JobProgress, LinkId, Scope, Side};

/// Three copies, of which two run.
fn three() -> Play {
    let mut play = app().with(["a", "b", "c"]).press("j");
    for _ in 0..3 {
        play = play.press("F5 Enter j");
    }
    play
}

/// Which jobs of the queue wait.
fn waiting(play: &Play) -> Vec<u32> {
    play.app.jobs.iter().filter(|job| job.is_waiting()).map(|job| job.id.0).collect()
}

/// Which jobs the newest effects begin.
fn begun(play: &Play) -> Vec<u32> {
    let begun = play.effects.iter().filter_map(|effect| match effect {
        Effect::Carry { job, .. } | Effect::Remove { job, .. } => Some(job.0),
        _ => None,
    });
    begun.collect()
}

#[test]
fn as_many_run_as_may_and_the_next_begins_when_one_is_over() {
    let play = three();
    assert_eq!(waiting(&play), [3]);
    let play = play.job_ends(JobId(1), true, &["left/a"]);
    assert_eq!((begun(&play), waiting(&play)), (vec![3], vec![]));
    let mut play = app().with(["a", "b", "c"]).press("j");
    play.app.jobs_at_once = 3;
    for _ in 0..3 {
        play = play.press("F5 Enter j");
    }
    assert_eq!(waiting(&play), [0; 0]);
}

#[test]
fn a_deletion_waits_for_no_copy() {
    let play = three().press("d y");
    assert_eq!(begun(&play), [4]);
}

#[test]
fn a_job_that_is_paused_gives_its_place_to_the_next_and_goes_on_where_it_was() {
    let play = three().press("w p");
    assert_eq!(play.effects[0], Effect::PauseJob(JobId(1)));
    assert_eq!(begun(&play), [3]);
    let play = play.press("p");
    assert_eq!(play.effects, [Effect::ResumeJob(JobId(1))]);
    // One that waits is held back, and let go again.
    let play = three().press("w G p").job_ends(JobId(1), true, &[]);
    assert_eq!(begun(&play), [0; 0]);
    assert_eq!(begun(&play.press("k p")), [3]);
    assert_eq!(three().press("d y w G p").effects, [], "a deletion cannot be paused");
}

#[test]
fn one_that_waits_is_cancelled_at_once_and_one_that_is_paused_ends() {
    let play = three().press("w G x y");
    assert_eq!((play.effects.len(), play.app.jobs.len(), play.app.over.len()), (0, 2, 1));
    let play = three().press("w p x y");
    assert_eq!(play.effects, [Effect::CancelJob(JobId(1)), Effect::ResumeJob(JobId(1))]);
}

#[test]
fn what_failed_of_a_job_is_done_again_and_nothing_else() {
    let play = app().with(["a", "b"]).press("C-a F5 Enter w").job_ends(JobId(1), false, &["left/a"]);
    assert_eq!(play.app.over[0].text, "over");
    let play = play.press("R");
    assert_eq!(play.carried(), [("left/b".to_owned(), "right/b".to_owned())]);
    assert_eq!(play.app.over.len(), 0);
    let play = play.job_ends(JobId(2), true, &["left/b"]).press("R");
    assert_eq!((play.effects.len(), play.said()), (0, "nothing left to retry"));
    // Of a deletion too.
    let play = app().with(["a", "b"]).press("C-a d y w").job_ends(JobId(1), false, &["left/b"]).press("R");
    let [Effect::Remove { paths, .. }] = play.effects.as_slice() else { panic!("{:?}", play.effects) };
    assert_eq!(*paths, [path("left/a")]);
    assert_eq!(three().press("w R").effects, [], "one that runs is not over");
}

#[test]
fn jobs_that_wait_change_places_and_the_cursor_goes_along() {
    let play = three().press("F5 Enter");
    assert_eq!(waiting(&play), [3, 4]);
    let play = play.press("w G K");
    assert_eq!(waiting(&play), [4, 3]);
    assert_eq!(waiting(&play.press("J")), [3, 4]);
    let play = three().press("F5 Enter w G k J");
    assert_eq!(waiting(&play), [4, 3]);
    assert_eq!(waiting(&three().press("w G K")), [3], "one that runs keeps its place");
}

#[test]
fn a_rate_holds_for_a_job_or_for_all_and_can_be_changed_while_they_run() {
    let rate = |job: Option<u32>, bytes_per_second| Effect::Limit { job: job.map(JobId), bytes_per_second };
    let play = three().press("w %").types("1.5").press("Enter");
    assert_eq!(play.effects, [rate(Some(1), Some(1_500_000))]);
    assert_eq!(play.press("% C-u Enter").effects, [rate(Some(1), None)]);
    assert_eq!(three().press("w L 2 Enter").effects, [rate(None, Some(2_000_000))]);
    // One that waits begins with it.
    let play = three().press("w G %").types("3").press("Enter");
    assert_eq!(play.effects, []);
    let play = play.job_ends(JobId(1), true, &[]);
    assert_eq!((begun(&play), play.effects.last().cloned()), (vec![3], Some(rate(Some(3), Some(3_000_000)))));
    for bad in ["x", "-1", "1e99", "0.0001"] {
        let play = three().press("w %").types(bad).press("Enter");
        assert!(play.ask().problem.is_some() && play.effects.is_empty(), "{bad}");
    }
}

#[test]
fn what_is_over_stays_until_it_is_cleared() {
    let play = three().press("w").job_ends(JobId(1), true, &[]).job_ends(JobId(2), false, &[]);
    assert_eq!(play.app.over.iter().map(|over| over.job.id.0).collect::<Vec<_>>(), [2, 1]);
    let play = play.press("G c");
    assert_eq!((play.app.over.len(), play.app.jobs.len()), (0, 1));
}

fn cut_off(play: Play, id: JobId, done: &[&str]) -> Play {
    let stopped = Some(Fault::new(FaultCode::Disconnected));
    let done = done.iter().map(|text| path(text)).collect();
    play.event(Event::JobEnded { id, good: false, stopped, text: "copied".into(), done })
}

#[test]
fn what_a_lost_connection_leaves_undone_goes_on_when_it_is_back() {
    let play = app().with(["a", "b"]).connected([]).press("C-a F5 Enter");
    let link = play.link(Side::Right);
    let play = cut_off(play, JobId(1), &["left/a"]);
    assert!(play.said().ends_with("resumes when the connection is back"), "{}", play.said());
    assert_eq!((begun(&play), waiting(&play)), (vec![], vec![2]), "also before the loss is known");
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 1 }).press("Tab C");
    assert_eq!(begun(&play), [0; 0]);
    let name = "tow://box:7171".into();
    let play = play.event(Event::Connected { link, name, path: path("srv"), round_trip_ms: None });
    assert_eq!(begun(&play), [2]);
    let items = play.effects.iter().find_map(|effect| match effect {
        Effect::Carry { items, .. } => Some(items.len()),
        _ => None,
    });
    assert_eq!(items, Some(1));
    // Cancelled is cancelled.
    let play = app().with(["a"]).connected([]).press("j F5 Enter w x y");
    assert_eq!(waiting(&cut_off(play, JobId(1), &[])), [0; 0]);
}

#[test]
fn a_connection_that_is_closed_takes_its_jobs_along_those_that_wait_too() {
    let mut play = app().with(["a"]).connected([]).press("j");
    for _ in 0..3 {
        play = play.press("F5 Enter");
    }
    let play = play.line("byebye").press("y");
    assert!(
        play.effects.contains(&Effect::CancelJob(JobId(1)))
            && play.effects.contains(&Effect::CancelJob(JobId(2)))
    );
    assert_eq!(waiting(&play), [0; 0]);
}

#[test]
fn the_end_of_a_long_job_rings_and_that_of_a_short_one_does_not() {
    for (elapsed_ms, rings) in [(9_999, false), (10_000, true)] {
        let now = JobProgress { elapsed_ms, ..JobProgress::default() };
        let play = three().event(Event::JobProgress { id: JobId(1), now }).job_ends(JobId(1), true, &[]);
        assert_eq!(play.effects.contains(&Effect::Ring("over".into())), rings, "{elapsed_ms}");
    }
}

#[test]
fn how_long_a_job_takes_before_its_end_rings_is_up_to_the_configuration() {
    for (after_ms, rings) in [(None, false), (Some(500), true), (Some(501), false)] {
        let mut play = three();
        play.app.rings_after_ms = after_ms;
        let now = JobProgress { elapsed_ms: 500, ..JobProgress::default() };
        let play = play.event(Event::JobProgress { id: JobId(1), now }).job_ends(JobId(1), true, &[]);
        assert_eq!(play.effects.contains(&Effect::Ring("over".into())), rings, "{after_ms:?}");
    }
}

#[test]
fn a_job_knows_when_its_newest_byte_came_and_what_went_wrong_last() {
    let progress = |bytes, elapsed_ms| Event::JobProgress {
        id: JobId(1),
        now: JobProgress { bytes, elapsed_ms, ..JobProgress::default() },
    };
    let play = three().event(progress(5, 1_000)).event(progress(5, 9_000));
    assert_eq!(play.app.jobs[0].idle_ms(), 8_000);
    let play = play.event(progress(6, 9_500));
    assert_eq!(play.app.jobs[0].idle_ms(), 0);
    let said = |at: &str, good, text: &str| Event::JobSaid {
        id: JobId(1),
        good,
        path: Some(path(at)),
        text: text.to_owned(),
    };
    let play =
        play.event(said("left/a/x", false, "permission denied")).event(said("left/a/y", false, "no room"));
    let play = play.event(said("left/a/z", true, "grew meanwhile"));
    assert_eq!(play.app.jobs[0].failures, 2);
    assert_eq!(play.app.jobs[0].failure.as_deref(), Some("/left/a/y: no room"));
}

#[test]
fn an_answer_to_a_paused_jobs_question_still_counts() {
    let conflict = newer(1, "right/a");
    let play = three().press("w p Esc").event(Event::JobConflict { id: JobId(1), conflict });
    let play = play.press("o").lets_go().press("o");
    let (job, scope) = (JobId(1), Scope::One(1));
    assert_eq!(play.effects, [Effect::Decide { job, scope, choice: Choice::Overwrite }]);
}

#[test]
fn what_a_lost_connection_cut_off_keeps_its_percentage_until_it_goes_on_from_there() {
    let now = |files, files_total, bytes, bytes_total, growing| JobProgress {
        files,
        files_total,
        bytes,
        bytes_total,
        growing,
        elapsed_ms: 1_000,
        ..JobProgress::default()
    };
    let shown = |play: &Play| {
        let job = &play.app.jobs[0];
        (job.now.files, job.now.files_total, (job.part_done() * 100.0).round(), job.now.growing)
    };
    let progress = |play: Play, id, now| play.event(Event::JobProgress { id: JobId(id), now });
    let play = app().with(["a", "b"]).connected([]).press("C-a F5 Enter");
    let play = cut_off(progress(play, 1, now(3, 10, 250, 1_000, false)), JobId(1), &[]);
    assert_eq!(shown(&play), (3, 10, 25.0, false));
    let link = play.link(Side::Right);
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 1 });
    let name = "tow://box:7171".into();
    let play = play.event(Event::Connected { link, name, path: path("srv"), round_trip_ms: None });
    // While it looks for what is left.
    let play = progress(play, 2, now(0, 2, 0, 100, true));
    assert_eq!(shown(&play), (3, 10, 25.0, false));
    let play = progress(play, 2, now(0, 7, 50, 800, false));
    assert_eq!(shown(&play), (3, 10, 25.0, false), "{:?}", play.app.jobs[0].now);
    let play = progress(play, 2, now(7, 7, 800, 800, false));
    assert_eq!(shown(&play), (10, 10, 100.0, false));
    // The total was not known.
    let play = app().with(["a"]).connected([]).press("j F5 Enter");
    let arrives = |files, bytes, growing| JobProgress {
        arrived_bytes: bytes,
        bytes: bytes + 5,
        ..now(files, files + 4, 0, bytes + 40, growing)
    };
    let play = cut_off(progress(play, 1, arrives(3, 30, true)), JobId(1), &[]);
    let figures = |play: &Play| {
        let now = &play.app.jobs[0].now;
        (now.files, now.bytes, now.growing)
    };
    assert_eq!(figures(&play), (3, 35, true));
    let link = play.link(Side::Right);
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 1 });
    let name = "tow://box:7171".into();
    let play = play.event(Event::Connected { link, name, path: path("srv"), round_trip_ms: None });
    // What was under way begins again, and is not found twice.
    let play = progress(play, 2, now(0, 2, 0, 20, true));
    assert_eq!(figures(&play), (3, 35, true));
    let play = progress(play, 2, arrives(1, 10, true));
    assert_eq!(figures(&play), (4, 45, true));
    let play = progress(play, 2, now(4, 4, 40, 40, false));
    assert_eq!((shown(&play), play.app.jobs[0].now.bytes), ((7, 7, 100.0, false), 70));
}

#[test]
fn a_deletion_that_was_cut_off_counts_on() {
    let gone = |files, files_total, growing| JobProgress {
        files,
        files_total,
        growing,
        elapsed_ms: 1_000,
        ..JobProgress::default()
    };
    let mut play = three();
    play.app.jobs[0].work = Work::Delete;
    play.app.jobs[0].before = Before { done: (4, 0), totals: Some((10, 0)) };
    // It is not counted again.
    let play = play.event(Event::JobProgress { id: JobId(1), now: gone(3, 3, true) });
    let job = &play.app.jobs[0];
    assert_eq!((job.now.files, job.now.files_total, job.now.growing), (7, 10, false));
    assert_eq!((job.part_done() * 100.0).round() as u64, 70);
}

#[test]
fn bytes_that_were_there_already_are_no_rate() {
    let now = |bytes, reused, elapsed_ms| JobProgress { bytes, reused, elapsed_ms, ..JobProgress::default() };
    let play = app().with(["a"]).press("j F5 Enter");
    let play = play.event(Event::JobProgress { id: JobId(1), now: now(9_000, 9_000, 500) });
    let play = play.event(Event::JobProgress { id: JobId(1), now: now(9_100, 9_000, 1_000) });
    assert_eq!(play.app.jobs[0].rates, [0, 200]);
}

#[test]
fn a_limit_says_what_it_means_for_a_copy_within_a_server() {
    let limited = |link| {
        let mut play = three();
        for job in &mut play.app.jobs {
            (job.source, job.destination) = (link, link);
        }
        play.press("w L 2 Enter").said().to_owned()
    };
    assert_eq!(limited(LinkId::LOCAL), "all jobs: at most 2 MB/s");
    assert!(limited(LinkId(9)).contains("2 MB/s (within a server each file"), "{}", limited(LinkId(9)));
}
