//! Nothing is done unseen: what a layer takes, and when.

use super::play::{Play, app, newer, path};
use crate::app::dialog::Dialog;
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::model::kept::{KeptJob, LeftJob};
use crate::model::{Carry, JobId, LinkId, Question, QuestionKind};

/// Keys that lead up to each layer, those that open it in one piece, and keys that would do something there.
const LAYERS: [(&str, &str, &str); 13] = [
    ("j", "F8", "y"),
    ("j", "F8", "Right Enter"),
    ("j", "F5", "Enter"),
    ("j", "F6", "y"),
    ("j", "r", "Z Enter"),
    ("", "F7", "d Enter"),
    ("", "m", "b Enter"),
    ("", "+", "a Enter"),
    ("", ": m k d i r Space d", "Enter"),
    ("", "C", "t o w : / / b Enter"),
    ("", "w", "p"),
    ("w", "x", "y"),
    ("", "q", "y"),
];

fn busy() -> Play {
    let play = app().with(["a", "b"]).there(["x"]).press("j F5 Enter k");
    assert_eq!(play.app.jobs.len(), 1);
    play
}

/// Returns whether any effect changes more than the screen.
fn is_done(play: &Play) -> bool {
    let does = |effect: &Effect| {
        !matches!(effect, Effect::Measure { .. } | Effect::Wait { .. } | Effect::KnownTargets)
    };
    play.effects.iter().any(does) || play.app.jobs.len() != 1 || play.app.jobs[0].is_stopping()
}

#[test]
fn f84_no_key_does_anything_in_a_layer_that_was_not_drawn() {
    for (before, opens, does) in LAYERS {
        let mut play = busy().press(before).burst(opens);
        let was = play.app.pane(crate::model::Side::Left).rows.marks.len();
        for key in does.split(' ') {
            play = play.burst(key);
            assert!(!is_done(&play), "{opens}, then {does} unseen: {:?}", play.effects);
        }
        assert_eq!(play.app.pane(crate::model::Side::Left).rows.marks.len(), was, "{opens}, {does}");
        // Drawn, and after a pause, the same keys do something.
        let play = busy().press(before).press(opens).waits([Timer::Hands, Timer::Held]).press(does);
        let is_marking = opens == "+";
        assert!(is_done(&play) != is_marking, "{opens}, then {does}: {:?}", play.effects);
    }
}

#[test]
fn f84_no_key_does_anything_behind_the_words_that_the_window_is_too_small() {
    for (before, opens, does) in LAYERS {
        for size in [(38, 9), (39, 24), (80, 9), (1, 1)] {
            let mut play = busy().press(before).press(opens).waits([Timer::Hands, Timer::Held]);
            play = play.event(Event::Resized { columns: size.0, rows: size.1 });
            let layers = play.app.dialogs.clone();
            for key in does.split(' ').chain(["Enter", "y", "Esc", "F8", "q"]) {
                play = play.press(key);
                assert!(!is_done(&play), "{opens}, {size:?}, {key}");
            }
            assert_eq!(play.app.dialogs, layers, "{opens}: it is as it was when the window is larger again");
        }
    }
    // One can leave, where that stops nothing.
    let play = app().event(Event::Resized { columns: 20, rows: 5 }).press("q");
    assert_eq!(play.effects, [Effect::Quit]);
    assert_eq!(busy().event(Event::Resized { columns: 20, rows: 5 }).press("q").app.dialogs, []);
}

#[test]
fn f84_a_window_that_changes_draws_its_question_before_it_is_answered() {
    let play = app().with(["a"]).press("j F8");
    let play = play.unseen(Event::Resized { columns: 38, rows: 9 }).unseen(Event::Drawn { is_whole: false });
    let play = play.unseen(Event::Resized { columns: 80, rows: 24 });
    assert_eq!(play.burst("y").effects, [Effect::Wait { timer: Timer::Hands, ms: 500 }]);
}

#[test]
fn f84_a_question_whose_buttons_do_not_all_show_takes_no_answer_but_can_be_closed() {
    let play = || app().with(["a"]).press("j F8").unseen(Event::Drawn { is_whole: false });
    assert!(!is_removal(&play().burst("y")) && !is_removal(&play().burst("Tab Enter")));
    assert_eq!(play().burst("Esc").app.dialogs, []);
}

fn is_removal(play: &Play) -> bool {
    play.effects.iter().any(|effect| matches!(effect, Effect::Remove { .. }))
}

#[test]
fn f84_what_is_typed_ahead_into_a_line_is_kept_and_sent_by_no_key_of_the_same_piece() {
    let play = app().with(["a"]).burst(": m k d i r Space x Enter");
    assert_eq!((play.prompt_text(), play.effects.len()), ("mkdir x", 1));
    let play = play.event(Event::Tick).waits([Timer::Hands]).press("Enter");
    assert!(matches!(play.effects[..], [Effect::MakeFolder { .. }]), "{:?}", play.effects);
    // Where nothing is sent, all keys count.
    assert_eq!(app().with(["a", "b"]).burst("/ b Enter").here(), "b");
}

#[test]
fn f84_a_key_that_means_nothing_to_a_question_makes_it_wait_for_a_pause() {
    // "today", typed over the panes.
    let play = app().with(["a"]).press("j t d a y");
    assert!(!is_removal(&play) && play.app.dialogs.len() == 1);
    assert!(!is_removal(&play.press("y")));
    let play = app().with(["a"]).press("j d a").waits([Timer::Hands]).press("y");
    assert!(is_removal(&play));
    assert!(is_removal(&app().with(["a"]).press("j d y")));
}

#[test]
fn f84_every_key_under_a_question_that_came_by_itself_puts_the_end_of_the_pause_off() {
    let question = |link| {
        let question = Question { ticket: 7, kind: QuestionKind::Confirm, text: "?".into(), is_again: false };
        Event::Questioned { link, question }
    };
    let play = app().line("connme ssh://box");
    let link: LinkId = play.link(crate::model::Side::Right);
    let mut play = play.event(question(link));
    for key in ["y", "Enter", "Esc", "C-c", "Right", "y"] {
        play = play.press(key);
        assert_eq!(play.effects, [Effect::Wait { timer: Timer::Hands, ms: 500 }], "{key}");
    }
    assert!(matches!(play.waits([Timer::Hands]).press("y").effects[..], [Effect::Reply { .. }]));
}

#[test]
fn f84_a_pairing_code_that_is_asked_for_under_typing_fingers_takes_none_of_it() {
    let play = app().line("connme tow://box");
    let link = play.link(crate::model::Side::Right);
    let play = play.event(Event::CodeWanted { link }).types("typed for the panes").press("Enter Esc");
    assert_eq!((play.ask().line.text.as_str(), play.app.servers.len()), ("", 1));
    let play = play.waits([Timer::Hands]).types("12");
    assert_eq!(play.ask().line.text, "12");
}

#[test]
fn f84_a_layer_that_was_closed_by_itself_leaves_no_key_to_the_one_beneath() {
    let play = app().line("connme ssh://box").press("F7").types("na");
    let link = play.link(crate::model::Side::Right);
    let question = Question { ticket: 7, kind: QuestionKind::Secret, text: "?".into(), is_again: false };
    let play = play.event(Event::Questioned { link, question }).types("me").press("Enter");
    // The question is in front now, and the next letters are still of the name.
    assert!(play.types("xy").app.dialogs.len() <= 2);
}

#[test]
fn f84_what_an_earlier_start_left_and_what_jobs_find_open_nothing_by_themselves() {
    let job = KeptJob {
        carry: Carry::Copy,
        source: String::new(),
        destination: String::new(),
        items: vec![(path("left/a"), path("srv/a"))],
        existing: None,
        limit: None,
        totals: None,
        place: 1,
        limit_of_all: None,
    };
    let play = busy()
        .event(Event::JobsLeft(vec![LeftJob { ticket: 1, begun_ns: 1, job }]))
        .event(Event::JobConflict { id: JobId(1), conflict: newer(1, "right/a") })
        .event(Event::JobShort { id: JobId(1), needed: 2, free: 1 });
    assert_eq!((play.app.dialogs.len(), play.app.answers_wanted()), (0, 3));
    // The key opens one after the other.
    let play = play.press("o");
    assert!(matches!(play.app.dialogs[..], [Dialog::Short(_)]));
    let play = play.press("n o");
    assert!(matches!(play.app.dialogs[..], [Dialog::Conflicts(_)]));
    let play = play.press("s o");
    assert!(matches!(play.app.dialogs[..], [Dialog::Left(_)]));
}

#[test]
fn ctrl_c_cancels_every_layer() {
    for keys in ["j F8", "j F5", "F7 x", ": l s", "/ x", "f x", "w", "C", "E", "?", "q", "+", "w x"] {
        let play = busy().press(keys).press("C-c C-c");
        assert_eq!(play.app.dialogs, [], "{keys}");
        assert!(!is_done(&play), "{keys}");
    }
}

#[test]
fn f84_a_line_that_is_mended_is_sent_by_the_next_enter_and_what_it_said_against_it_is_read_first() {
    let play = app().with(["a"]).press("w L").types("x");
    let play = play.burst("Enter");
    assert!(play.ask().problem.is_some());
    let told = play.event(Event::Tick);
    assert!(matches!(told.burst("C-u 2 Enter").effects[..], [Effect::Limit { .. }]));
}
