//! Jobs: their list, their end, their questions.

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use towpath_protocol::fault::{Fault, FaultCode};

use super::play::{Play, app, entry, newer, path};
use crate::app::dialog::{Answer, Dialog};
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::app::hits::Spot;
use crate::model::{Choice, JobId, JobProgress, Scope, Side};

fn copying() -> Play {
    app().with(["a", "b", "c"]).there(["x"]).press("j Space Space F5 Enter")
}

fn conflict(play: Play, id: JobId) -> Play {
    play.event(Event::JobConflict { id, conflict: newer(1, "right/a") })
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
    assert_eq!(play.effects, [], "it asks");
    assert_eq!(play.app.jobs.iter().filter(|job| job.is_stopping()).count(), 0);
    let play = play.press("y");
    let second = play.app.jobs[1].id;
    assert_eq!(play.effects, [Effect::CancelJob(second)]);
    assert!(!play.app.jobs[0].is_stopping() && play.app.jobs[1].is_stopping());
    let play = play.job_ends(second, false, &[]);
    assert_eq!(play.app.jobs.len(), 1);
    assert_eq!(play.press("Esc").app.dialogs, []);
}

#[test]
fn esc_over_the_panes_cancels_no_job() {
    let play = copying().press("Esc");
    assert_eq!(
        (play.effects.as_slice(), play.app.jobs[0].is_stopping()),
        ([Effect::Wait { timer: Timer::Digit, ms: 500 }].as_slice(), false)
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
fn what_is_in_the_way_of_a_job_opens_nothing_and_takes_no_keys() {
    // Keys are typed over the panes meanwhile.
    for keys in ["y", "Enter", "w r d a", "s a y", "f o l l o w Esc"] {
        let play = copying();
        let job = play.job();
        let play = conflict(play, job);
        assert_eq!((play.app.dialogs.len(), play.app.answers_wanted()), (0, 1));
        let play = play.press(keys);
        let decided = play.effects.iter().any(|effect| matches!(effect, Effect::Decide { .. }));
        assert!(!decided && play.app.answers_wanted() == 1, "{keys}");
    }
}

#[test]
fn it_opens_nothing_beneath_what_a_person_is_typing_either() {
    let play = copying().press("Tab F7").types("ne");
    let job = play.job();
    let play = conflict(play, job).types("wo").press("Enter");
    let Some(Effect::MakeFolder { .. }) = play.effects.first() else { panic!("{:?}", play.effects) };
    assert!(!play.app.dialogs.iter().any(|dialog| matches!(dialog, Dialog::Conflicts(_))));
}

#[test]
fn the_key_that_opens_a_question_is_no_answer_to_it_while_it_is_held() {
    let play = copying();
    let job = play.job();
    let play = conflict(play, job).press("o o o o o");
    assert_eq!((play.effects.len(), play.app.dialogs.len()), (0, 1));
    let play = play.lets_go().press("o");
    assert_eq!(play.effects, [Effect::Decide { job, scope: Scope::One(1), choice: Choice::Overwrite }]);
}

#[test]
fn a_click_before_the_question_was_drawn_is_no_answer() {
    let play = copying();
    let job = play.job();
    let button = Some(Spot::Button(Answer::Choose(Choice::Overwrite)));
    let click = |x| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        let event = MouseEvent { kind, column: x, row: 12, modifiers: KeyModifiers::NONE };
        Event::Mouse { event, spot: button, at_ms: 0 }
    };
    let play = conflict(play, job).burst("o").unseen(click(40));
    assert_eq!((play.effects.len(), play.app.dialogs.len()), (0, 1));
    assert_eq!(play.event(Event::Tick).event(click(40)).effects.len(), 1);
}

#[test]
fn where_the_question_is_gone_keys_are_taken_again_at_once() {
    let play = copying();
    let job = play.job();
    let play = conflict(play, job).press("o").job_ends(job, false, &[]).press("q");
    assert_eq!(play.effects, [Effect::Quit]);
}

fn arrives(play: Play, id: JobId, files: u64, elapsed_ms: u64) -> Play {
    let now = JobProgress { files, files_total: 9, elapsed_ms, ..JobProgress::default() };
    play.event(Event::JobProgress { id, now })
}

#[test]
fn the_destination_shows_what_arrives_once_a_second_and_keeps_cursor_and_marks() {
    let play = copying().press("Tab j Space Tab");
    let id = play.job();
    let play = arrives(play, id, 0, 1_500);
    assert_eq!(play.read_again(), Vec::<String>::new(), "nothing has arrived");
    let play = arrives(play, id, 1, 1_600);
    assert_eq!(play.read_again(), ["right"]);
    assert!(play.app.pane(Side::Right).is_quiet);
    let play = play.lists(Side::Right, ["a", "x"]);
    let rows = &play.app.pane(Side::Right).rows;
    assert_eq!((play.on(Side::Right), rows.is_marked(2), rows.is_marked(1)), ("x".into(), true, false));
    let play = arrives(play, id, 2, 2_500);
    assert_eq!(play.read_again(), Vec::<String>::new(), "less than a second");
    let play = arrives(play, id, 2, 2_700);
    assert_eq!(play.read_again(), ["right"]);
    let play = arrives(play, id, 3, 9_000);
    assert_eq!(play.read_again(), Vec::<String>::new(), "it is being read still");
}

#[test]
fn a_range_that_is_being_marked_is_not_ended_by_what_arrives() {
    let play = copying().press("Tab v");
    let id = play.job();
    assert_eq!(arrives(play, id, 1, 5_000).read_again(), Vec::<String>::new());
}

#[test]
fn a_large_folder_is_read_less_often_while_it_fills() {
    let names: Vec<String> = (0..200_000).map(|number| format!("n{number}")).collect();
    let mut play = copying();
    play.effects = play.app.reload(Side::Right).into_iter().collect();
    let (id, generation) = (play.job(), play.app.pane(Side::Right).generation);
    let entries = names.iter().map(|name| entry(name)).collect();
    let play = play
        .event(Event::Listed { generation, total: 200_000, entries })
        .event(Event::ListEnded { generation, outcome: Ok(()) });
    let play = arrives(play, id, 1, 3_900);
    assert_eq!(play.read_again().len(), 0);
    assert_eq!(arrives(play, id, 1, 4_100).read_again(), ["right"]);
}

#[test]
fn what_is_said_of_a_path_says_on_which_machine_it_is() {
    let play = app().with(["a"]).connected([]).press("j F5 Enter");
    let id = play.job();
    let table = [
        ("left/a/deep", "/left/a/deep: no"),
        ("srv/a/deep", "tow://box:7171/srv/a/deep: no"),
        ("srv", "tow://box:7171/srv: no"),
        ("elsewhere", "/elsewhere: no"),
    ];
    let mut play = play;
    for (at, expected) in table {
        play = play.event(Event::JobSaid { id, good: false, path: Some(path(at)), text: "no".into() });
        assert_eq!(play.said(), expected);
    }
    let stopped = Some(Fault::new(FaultCode::NoSpace).at(path("srv/a")));
    let play =
        play.event(Event::JobEnded { id, good: false, stopped, text: "copied".into(), done: Vec::new() });
    assert!(play.said().starts_with("tow://box:7171/srv/a: "), "{}", play.said());
    assert!(play.said().ends_with("; until then copied"), "{}", play.said());
}

#[test]
fn where_both_machines_have_the_path_both_are_named() {
    let play = app().with(["a"]).connected([]).press("j F5 Up C-u").types("tow://box:7171/left/a");
    let play = play.press("Enter");
    let [Effect::Look { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let play = play.event(Event::Looked { ticket, outcome: Ok(None) });
    let id = play.job();
    let play = play.event(Event::JobSaid { id, good: false, path: Some(path("left/a")), text: "no".into() });
    assert_eq!(play.said(), "/left/a → tow://box:7171/left/a: no");
}

#[test]
fn a_job_that_ends_takes_its_question_with_it() {
    let play = copying();
    let job = play.job();
    let play = conflict(play, job).press("o").job_ends(job, false, &[]);
    assert_eq!(play.app.dialogs, []);
    assert_eq!(conflict(play, job).app.answers_wanted(), 0);
}

#[test]
fn rates_are_kept_of_each_half_second() {
    let mut play = copying();
    let id = play.job();
    for tenth in 0..400 {
        let now = JobProgress { bytes: tenth * 1000, elapsed_ms: tenth * 100, ..JobProgress::default() };
        play = play.event(Event::JobProgress { id, now });
    }
    let rates = &play.app.jobs[0].rates;
    assert_eq!(rates.len(), 60);
    assert!(rates.iter().all(|rate| *rate == 10_000), "{rates:?}");
}

#[test]
fn a_job_that_fails_says_why_with_sizes_in_the_unit_of_the_screen() {
    let ends = |play: Play, id: JobId| {
        let text = "125829120 bytes needed, 20971520 free".to_owned();
        let path = Some(path("right/a"));
        let play =
            play.event(Event::JobSaid { id, good: false, path, text: format!("no space left ({text})") });
        play.event(Event::JobEnded {
            id,
            good: false,
            stopped: None,
            text: "nothing copied".into(),
            done: vec![],
        })
    };
    let play = copying();
    let id = play.job();
    assert_eq!(
        ends(play, id).said(),
        "/right/a: no space left (125.83 MB needed, 20.97 MB free); nothing copied"
    );
    let play = copying().press("# #");
    let play = ends(play, id);
    assert_eq!(
        play.said(),
        "/right/a: no space left (125 829 120 bytes needed, 20 971 520 bytes free); nothing copied"
    );
    // A full disk is told by its folder, and nothing else if nothing was done.
    let play = copying();
    let id = play.job();
    let (path, text) =
        (Some(path("left/a")), "no space left at the destination (9000000 bytes needed, 5 free)");
    let said = Event::JobSaid { id, good: false, path, text: text.into() };
    let ended = Event::JobEnded { id, good: false, stopped: None, text: String::new(), done: vec![] };
    let play = play.event(said);
    assert_eq!(play.said(), "/left/a: no space in /right (9.00 MB needed, 0.000005 MB free)");
    assert_eq!(play.event(ended).said(), "no space in /right (9.00 MB needed, 0.000005 MB free)");
    let play = copying();
    let said = |play: Play| play.event(Event::JobSaid { id, good: false, path: None, text: "no".into() });
    let play = ends(said(said(play)), id);
    assert!(play.said().contains("(and 2 more: E)"), "{}", play.said());
}
