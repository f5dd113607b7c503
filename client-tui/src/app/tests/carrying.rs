//! Copying, moving, yanking and pasting: what is offered, what goes where, and what is refused in words.

use super::play::app;
use crate::app::dialog::Dialog;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::model::{Carry, LinkId, Side};

fn pair(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

#[test]
fn one_thing_is_offered_its_full_new_path_and_enter_starts() {
    let play = app().with(["a"]).press("j F5");
    assert_eq!((play.ask().line.text.as_str(), play.ask().focus), ("/right/a", Some(0)));
    let play = play.press("Enter");
    assert_eq!((play.carried(), play.app.dialogs.len()), (vec![pair("left/a", "right/a")], 0));
}

#[test]
fn several_things_are_offered_the_folder() {
    let play = app().with(["a", "b/"]).press("C-a c");
    assert_eq!(play.ask().line.text, "/right/");
    assert_eq!(play.press("y").carried(), [pair("left/a", "right/a"), pair("left/b", "right/b")]);
}

#[test]
fn a_new_name_a_folder_with_a_slash_and_a_relative_path_are_understood() {
    let table = [
        ("/right/new", "right/new"),
        ("/right/sub/", "right/sub/a"),
        ("sub/", "right/sub/a"),
        ("../", "a"),
        ("~/", "home/me/a"),
    ];
    for (text, expected) in table {
        let play = app().with(["a"]).press("j F5 Tab Tab C-u").types(text).press("Enter");
        let play = match play.effects.as_slice() {
            [Effect::Look { ticket, .. }] => {
                let ticket = *ticket;
                play.event(Event::Looked { ticket, outcome: Ok(None) })
            }
            _ => play,
        };
        assert_eq!(play.carried(), [pair("left/a", expected)], "{text}");
    }
}

#[test]
fn an_existing_folder_takes_the_thing_into_it() {
    let play = app().with(["a"]).press("j F5 BackTab C-u").types("/other").press("Enter");
    let [Effect::Look { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let play = play.event(Event::Looked { ticket, outcome: Ok(Some(true)) });
    assert_eq!(play.carried(), [pair("left/a", "other/a")]);
}

#[test]
fn an_answer_about_a_destination_that_was_edited_since_is_ignored() {
    let play = app().with(["a"]).press("j F5 BackTab C-u").types("/other").press("Enter");
    let [Effect::Look { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let play = play.types("x").event(Event::Looked { ticket, outcome: Ok(Some(true)) });
    assert_eq!((play.effects.len(), play.ask().line.text.as_str()), (0, "/otherx"));
}

#[test]
fn a_file_is_not_copied_onto_itself() {
    let play = app().with(["a"]).press("=").lists(Side::Right, ["a"]).press("j F5");
    assert!(play.ask().problem.as_deref().unwrap().contains("are the same"), "{:?}", play.ask());
    let play = play.press("Enter");
    assert_eq!(play.effects, []);
    assert_eq!(play.types("2").press("Enter").effects.len(), 1);
}

#[test]
fn a_folder_is_not_copied_into_itself() {
    let play = app().with(["f/"]).press("j F6 BackTab C-u").types("/left/f/below/").press("Enter");
    assert_eq!(play.ask().problem.as_deref(), Some("f cannot go into itself"));
    assert_eq!(play.effects, []);
}

#[test]
fn a_name_pattern_is_no_destination() {
    for text in ["trip-*.jpg", "/right/trip-?", "new*/x*"] {
        let play = app().with(["a", "b"]).press("C-a F5 BackTab").types(text).press("Enter");
        assert!(
            play.ask().problem.as_deref().is_some_and(|why| why.contains("patterns")),
            "{:?}",
            play.ask()
        );
        assert!(play.effects.is_empty() && play.app.jobs.is_empty(), "{text}");
    }
    // A name that has a star is offered, and can be written.
    assert_eq!(app().with(["a*"]).press("j F5 Enter").carried(), [pair("left/a*", "right/a*")]);
    let play = app().with(["a"]).press("j F5 BackTab").types("/right/b\\x2a").press("Enter");
    let [Effect::Look { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let play = play.event(Event::Looked { ticket, outcome: Ok(None) });
    assert_eq!(play.carried(), [pair("left/a", "right/b*")]);
}

#[test]
fn what_is_carried_is_counted() {
    let about =
        |keys: &str| app().with(["a=500000", "b=1500000", "f/"]).press(keys).ask().label.about.clone();
    assert_eq!(about("j F5"), "a");
    assert_eq!(about("j v j v F5"), "2 files (2.00 MB)");
    assert_eq!(about("C-a F6"), "2 files (2.00 MB) and 1 folder");
}

#[test]
fn n_and_esc_leave_everything_as_it_is() {
    for keys in ["n", "Esc", "Right Enter", "Tab Enter"] {
        let play = app().with(["a"]).press("j F5").press(keys);
        assert_eq!((play.effects.len(), play.app.dialogs.len(), play.app.jobs.len()), (0, 0, 0), "{keys}");
    }
}

#[test]
fn letters_are_typed_only_where_the_line_has_the_focus() {
    let play = app().with(["a"]).press("j F5").types("zq");
    assert_eq!(play.ask().line.text, "/right/a");
    assert_eq!(play.press("BackTab").types("yn").ask().line.text, "yn", "an offer is replaced");
}

#[test]
fn yanked_things_are_pasted_into_the_active_pane() {
    let play = app().with(["a"]).press("j y Tab p");
    assert_eq!(play.ask().line.text, "/right/a");
    let play = play.press("Enter");
    assert!(matches!(play.effects[..], [Effect::Carry { carry: Carry::Copy, .. }]));
    assert!(play.app.clipboard.is_some());
}

#[test]
fn what_was_cut_moves_and_is_forgotten_once_it_has() {
    let play = app().with(["a"]).press("j x Tab p Enter");
    assert!(matches!(play.effects[..], [Effect::Carry { carry: Carry::Move, .. }]));
    let job = play.job();
    let play = play.job_ends(job, true, &["left/a"]);
    assert_eq!(play.app.clipboard, None);
    assert_eq!(play.press("p").app.dialogs, []);
}

#[test]
fn a_yanked_thing_pasted_beside_itself_wants_another_name() {
    let play = app().with(["a"]).press("j y p");
    assert!(play.ask().problem.is_some());
    let play = play.types(" copy").press("Enter");
    let [Effect::Look { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let play = play.event(Event::Looked { ticket, outcome: Ok(None) });
    assert_eq!(play.carried(), [pair("left/a", "left/a copy")]);
}

#[test]
fn the_line_names_the_server_and_may_name_this_machine_instead() {
    let play = app().with(["a"]).connected([]).press("j F5");
    assert_eq!(play.ask().line.text, "tow://box:7171/srv/a");
    let play = play.press("BackTab C-u").types("/left/b").press("Enter");
    let [Effect::Look { ticket, ref place }] = play.effects[..] else { panic!("{:?}", play.effects) };
    assert_eq!(place.link, LinkId::LOCAL);
    let play = play.event(Event::Looked { ticket, outcome: Ok(None) });
    assert_eq!(play.carried(), [pair("left/a", "left/b")]);
}

#[test]
fn a_server_that_is_not_connected_is_no_destination() {
    let play = app().with(["a"]).press("j F5 BackTab C-u").types("tow://elsewhere/x").press("Enter");
    assert!(play.ask().problem.as_deref().unwrap().contains("not connected"), "{:?}", play.ask());
}

#[test]
fn a_delete_says_what_goes_and_the_safe_answer_has_the_focus() {
    let play = app().with(["a", "b"]).press("C-a F8");
    let [Effect::Measure { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let totals = towpath_protocol::answer::Totals { files: 2, bytes: 9, ..Default::default() };
    let play = play.event(Event::Measured { ticket, outcome: Ok(totals) });
    let Some(Dialog::Delete(delete)) = play.app.dialogs.last() else { panic!() };
    assert_eq!((delete.totals.as_ref().unwrap().files, delete.focus), (2, 0));
    assert_eq!(play.press("Enter").effects, []);
    for keys in ["y", "Tab Enter", "Right Enter"] {
        let play = app().with(["a", "b"]).press("C-a d").press(keys);
        assert!(matches!(play.effects[..], [Effect::Remove { .. }]), "{keys}");
    }
}

#[test]
fn a_destination_that_looks_remote_is_refused_unless_it_is_there() {
    for (text, form) in [
        ("user@host:/p", "ssh://user@host/p"),
        ("box:photos", "ssh://box/~/photos"),
        ("tow:/h/x", "tow://h/x"),
    ] {
        let play = app().with(["a"]).press("j F5 BackTab C-u").types(text).press("Enter");
        let problem = play.ask().problem.as_deref().unwrap_or_default();
        assert!(play.effects.is_empty() && problem.contains(form), "{text}: {problem}");
        // The prompt's words are the same.
        let play = app().with(["a"]).line(&format!("upload a {text}/"));
        assert!(play.effects.is_empty() && play.said().contains("write "), "{}", play.said());
    }
    let play = app().with(["a"]).there(["box:/"]).press("j F5 BackTab C-u").types("box:/b").press("Enter");
    assert!(play.ask().problem.is_none() && !play.effects.is_empty(), "{:?}", play.ask().problem);
}
