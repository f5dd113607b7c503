//! Jobs: their list, their end, their questions.

use towpath_protocol::entry::Kind;

use super::play::{Play, app, attributes, path};
use crate::app::dialog::Dialog;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::model::{Choice, JobId, JobProgress, Side};

fn copying() -> Play {
    app().with(["a", "b", "c"]).there(["x"]).press("j Space Space F5 Enter")
}

fn conflict(play: Play, id: JobId) -> Play {
    let (source, there) = (attributes(Kind::File, 5, 20), attributes(Kind::File, 7, 10));
    play.event(Event::JobConflict { id, to: path("right/a"), source, there })
}

#[test]
fn a_jobs_end_unmarks_what_arrived_and_reads_only_what_changed() {
    let play = copying();
    let job = play.job();
    let play = play.job_ends(job, false, &["left/a"]);
    assert_eq!((play.marked(), play.read_again()), ("b".into(), vec!["right".into()]));
    assert!(play.app.jobs.is_empty());
}

#[test]
fn a_move_reads_both_ends() {
    let play = app().with(["a"]).press("j F6 Enter");
    let job = play.job();
    assert_eq!(play.job_ends(job, true, &["left/a"]).read_again(), ["left", "right"]);
}

#[test]
fn panes_elsewhere_are_left_alone() {
    let play = copying().press("Tab h").lists(Side::Right, ["right/"]);
    let job = play.job();
    assert_eq!(play.job_ends(job, true, &["left/a", "left/b"]).read_again(), Vec::<String>::new());
}

#[test]
fn marks_that_a_job_is_not_about_stay() {
    let play = copying().press("j Space");
    assert_eq!(play.marked(), "a b c");
    let job = play.job();
    assert_eq!(play.job_ends(job, true, &["left/a", "left/b"]).marked(), "c");
}

#[test]
fn the_jobs_view_cancels_the_one_under_its_cursor_and_no_other() {
    let play = copying().press("F5 Enter w j x");
    let second = play.app.jobs[1].id;
    assert_eq!(play.effects, [Effect::CancelJob(second)]);
    assert!(!play.app.jobs[0].is_stopping && play.app.jobs[1].is_stopping);
    let play = play.job_ends(second, false, &[]);
    assert_eq!(play.app.jobs.len(), 1);
    assert_eq!(play.press("Esc").app.dialogs, []);
}

#[test]
fn esc_over_the_panes_cancels_no_job() {
    let play = copying().press("Esc");
    assert_eq!(
        (play.effects.as_slice(), play.app.jobs[0].is_stopping),
        ([Effect::WaitForDigit].as_slice(), false)
    );
}

#[test]
fn quitting_asks_while_jobs_run() {
    assert_eq!(app().press("q").effects, [Effect::Quit]);
    let play = copying().press("q");
    assert_eq!(play.effects, []);
    assert_eq!(copying().press("q Enter").app.dialogs, []);
    assert_eq!(play.press("y").effects, [Effect::Quit]);
}

#[test]
fn answers_to_a_conflict() {
    let table = [
        ("o", Choice::Overwrite, false),
        ("y", Choice::Overwrite, false),
        ("Enter", Choice::Skip, false),
        ("n", Choice::Skip, false),
        ("Esc", Choice::Skip, false),
        ("b", Choice::KeepBoth, false),
        ("Right Enter", Choice::KeepBoth, false),
        ("Left Enter", Choice::Overwrite, false),
        ("a w", Choice::NewerOnly, true),
        ("Space s", Choice::Skip, true),
        ("Tab Tab Tab Enter o", Choice::Overwrite, true),
    ];
    for (keys, choice, for_all) in table {
        let play = copying();
        let job = play.job();
        let play = conflict(play, job).press(keys);
        assert_eq!(play.effects, [Effect::Answer { job, choice, for_all }], "{keys}");
        assert!(play.said().starts_with("a: "), "{}", play.said());
    }
}

#[test]
fn a_question_waits_beneath_what_a_person_is_typing() {
    let play = copying().press("Tab F7").types("ne");
    let job = play.job();
    let play = conflict(play, job).types("wo").press("Enter");
    assert!(matches!(play.effects[..], [Effect::MakeFolder(_)]));
    assert!(matches!(play.app.dialogs[..], [Dialog::Conflict(_)]));
}

#[test]
fn a_job_that_ends_takes_its_question_with_it() {
    let play = copying();
    let job = play.job();
    let play = conflict(play, job).job_ends(job, false, &[]);
    assert_eq!(play.app.dialogs, []);
    assert_eq!(conflict(play, job).app.dialogs, []);
}

#[test]
fn rates_are_kept_of_each_half_second() {
    let mut play = copying();
    let id = play.job();
    for tenth in 0..100 {
        let now = JobProgress { bytes: tenth * 1000, elapsed_ms: tenth * 100, ..JobProgress::default() };
        play = play.event(Event::JobProgress { id, now });
    }
    let rates = &play.app.jobs[0].rates;
    assert_eq!(rates.len(), 16);
    assert!(rates.iter().all(|rate| *rate == 10_000), "{rates:?}");
}
