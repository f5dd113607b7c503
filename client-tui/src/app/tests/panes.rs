//! Where the cursor is, what a pane shows while it is read, and what becomes of it when that fails.

use towpath_protocol::fault::FaultCode;
use towpath_protocol::path::Name;

use super::play::{Play, app, entry, local, path};
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::model::{LinkId, Side};

fn hundred() -> Play {
    let names: Vec<String> = (0..100).map(|number| format!("n{number:02}")).collect();
    let play = app();
    let generation = play.app.pane(Side::Left).generation;
    let play = Play { effects: Vec::new(), ..play };
    let entries = names.iter().map(|name| entry(name)).collect();
    assert_eq!(generation, 1);
    let mut play = play;
    play.effects.extend(play.app.reload(Side::Left));
    let generation = play.app.pane(Side::Left).generation;
    play.event(Event::Listed { generation, total: 100, entries })
        .event(Event::ListEnded { generation, outcome: Ok(()) })
}

#[test]
fn keys_move_by_the_height_that_the_pane_really_has() {
    // 24 rows: 3 of lines, 2 of frame, 1 of headings.
    let table = [
        ("PageDown", "n17"),
        ("C-f", "n17"),
        ("C-d", "n08"),
        ("G", "n99"),
        ("G g g", "../"),
        ("End Home", "../"),
        ("G C-b", "n81"),
        ("G C-u", "n90"),
    ];
    for (keys, expected) in table {
        assert_eq!(hundred().press(keys).here(), expected, "{keys}");
    }
    let small = hundred().event(Event::Resized { columns: 80, rows: 12 }).press("PageDown");
    assert_eq!(small.here(), "n05");
}

#[test]
fn the_list_stands_still_until_the_cursor_nears_its_edge() {
    let play = hundred().press("j j j j j j j j j j");
    assert_eq!(play.app.pane(Side::Left).rows.top, 0);
    let play = play.press("PageDown");
    let top = play.app.pane(Side::Left).rows.top;
    assert!(top > 0);
    assert_eq!(play.press("k k k").app.pane(Side::Left).rows.top, top);
}

#[test]
fn a_listing_that_arrives_late_is_ignored() {
    let play = app().with(["a", "b/"]);
    let old = play.app.pane(Side::Left).generation;
    let play = play.press("G Enter").event(Event::Listed {
        generation: old,
        total: 1,
        entries: vec![entry("late")],
    });
    assert_eq!(play.shown(Side::Left), "");
    assert_eq!(play.lists(Side::Left, ["new"]).shown(Side::Left), "new");
}

#[test]
fn rows_stay_until_the_folder_has_been_read_again() {
    let play = app().with(["a", "b"]).press("C-r");
    assert_eq!(play.shown(Side::Left), "a b");
    let generation = play.app.pane(Side::Left).generation;
    let play = play.event(Event::Listed { generation, total: 2, entries: vec![entry("b"), entry("c")] });
    assert_eq!(play.shown(Side::Left), "a b");
    assert_eq!(play.event(Event::ListEnded { generation, outcome: Ok(()) }).shown(Side::Left), "b c");
}

#[test]
fn the_cursor_stays_on_its_name() {
    let play = app().with(["a", "b", "c"]).press("G");
    assert_eq!(play.press("C-r").lists(Side::Left, ["c", "b", "a"]).here(), "c");
}

#[test]
fn where_the_cursors_name_is_gone_it_goes_to_the_next_neighbour() {
    let table: [(&str, [&str; 2], &str); 3] =
        [("j j", ["a", "c"], "c"), ("G", ["a", "b"], "b"), ("j", ["x", "c"], "c")];
    for (keys, left, expected) in table {
        let play = app().with(["a", "b", "c"]).press(keys).press("C-r").lists(Side::Left, left);
        assert_eq!(play.here(), expected, "{keys}");
    }
    assert_eq!(app().with(["a"]).press("G C-r").lists(Side::Left, []).here(), "../");
}

#[test]
fn going_up_stands_on_where_one_came_from() {
    let play = app().press("h").lists(Side::Left, ["bin/", "left/", "usr/"]);
    assert_eq!((play.app.pane(Side::Left).place.clone(), play.here()), (local(""), "left".to_owned()));
}

#[test]
fn a_root_has_no_way_up() {
    let play = app().press("g /").lists(Side::Left, ["a"]);
    assert_eq!(play.app.pane(Side::Left).rows.up, 0);
    assert_eq!(play.here(), "a");
    assert_eq!(play.press("Backspace").effects, []);
}

#[test]
fn a_folder_that_cannot_be_read_gives_the_old_one_back() {
    let play = app().with(["a", "b/", "c"]).press("j j Space k Enter");
    assert_eq!(play.app.pane(Side::Left).place, local("left/b"));
    let play = play.listing_fails(Side::Left, FaultCode::PermissionDenied);
    assert_eq!(
        (play.app.pane(Side::Left).place.clone(), play.here(), play.marked()),
        (local("left"), "b".into(), "b".into())
    );
    assert!(play.said().contains("permission denied"), "{}", play.said());
}

#[test]
fn a_folder_that_vanished_gives_way_to_the_one_above() {
    let play = app().with(["a"]).press("C-r").listing_fails(Side::Left, FaultCode::NotFound);
    assert_eq!(play.read_again(), [""]);
    let play = play.lists(Side::Left, ["other/"]);
    assert_eq!(play.app.pane(Side::Left).place, local(""));
    assert!(play.app.log.iter().any(|(_, text)| text.contains("showing the folder above")));
}

#[test]
fn back_and_forward_stand_where_one_stood() {
    let play = app().with(["a/", "b/"]).press("G Enter").lists(Side::Left, ["x", "y"]).press("G");
    let play = play.press("H").lists(Side::Left, ["a/", "b/"]);
    assert_eq!((play.app.pane(Side::Left).place.clone(), play.here()), (local("left"), "b".into()));
    let play = play.press("A-Right").lists(Side::Left, ["x", "y"]);
    assert_eq!((play.app.pane(Side::Left).place.clone(), play.here()), (local("left/b"), "y".into()));
    assert_eq!(play.press("L").effects, []);
}

#[test]
fn swapped_panes_keep_what_they_show_and_what_still_comes() {
    let play = app().with(["a"]).there(["x"]).press("C-r X");
    assert_eq!((play.effects.len(), play.app.active), (0, Side::Right));
    let play = play.lists(Side::Right, ["a", "b"]);
    assert_eq!((play.shown(Side::Left), play.shown(Side::Right)), ("x".into(), "a b".into()));
}

#[test]
fn the_same_folder_opens_in_the_other_pane() {
    let play = app().with(["a", "b"]).press("G =").lists(Side::Right, ["a", "b"]);
    assert_eq!((play.app.pane(Side::Right).place.clone(), play.on(Side::Right)), (local("left"), "b".into()));
}

#[test]
fn a_filter_narrows_as_one_types_and_esc_takes_it_away() {
    let play = app().with(["Alpha", "beta", "gamma"]).press("f").types("AL");
    assert_eq!(play.shown(Side::Left), "Alpha");
    let play = play.press("Backspace");
    assert_eq!(play.shown(Side::Left), "Alpha beta gamma");
    let play = play.types("m").press("Enter");
    assert_eq!((play.shown(Side::Left), play.app.dialogs.len()), ("gamma".into(), 0));
    assert_eq!(play.press("Esc").shown(Side::Left), "Alpha beta gamma");
}

#[test]
fn find_goes_on_to_the_next_and_back() {
    let play = app().with(["a1", "b", "a2", "a3"]).press("/").types("a");
    assert_eq!(play.here(), "a1");
    let play = play.press("Enter n");
    assert_eq!(play.here(), "a2");
    assert_eq!(play.press("n n").here(), "a1");
}

#[test]
fn sorting_again_turns_round_and_reads_in_that_order() {
    let play = app().with(["a"]).press(", s");
    assert!(matches!(
        play.effects[..],
        [Effect::List { direction: towpath_protocol::request::Direction::Descending, .. }]
    ));
    let play = play.press(", s");
    assert!(matches!(
        play.effects[..],
        [Effect::List { direction: towpath_protocol::request::Direction::Ascending, .. }]
    ));
}

#[test]
fn esc_and_a_digit_are_a_function_key() {
    for keys in ["F7", "Esc 7", "A-7"] {
        assert_eq!(app().press(keys).ask().title, "New folder", "{keys}");
    }
    let late = app().press("Esc").event(Event::Waited(Timer::Digit)).press("7");
    assert_eq!(late.app.dialogs, []);
}

#[test]
fn keys_of_later_versions_say_so() {
    for key in ["F3", "F4", "i", "e", "u", "s", "S", "t", "R", "O", "A", "Y", "!", "|", "F9", "C-q", "1"] {
        assert_eq!(app().press(key).said(), "not available yet", "{key}");
    }
}

#[test]
fn a_new_folder_takes_the_cursor() {
    let play = app().with(["a", "z"]).press("F7").types("new").press("Enter");
    assert_eq!(play.effects, [Effect::MakeFolder(local("left/new"))]);
    let made =
        Event::Changed { link: LinkId::LOCAL, paths: vec![path("left/new")], made: Some(path("left/new")) };
    let play = play.event(made).lists(Side::Left, ["a", "new/", "z"]);
    assert_eq!(play.here(), "new");
}

#[test]
fn a_rename_keeps_bytes_that_are_no_text() {
    let mut play = app();
    play.effects.extend(play.app.reload(Side::Left));
    let generation = play.app.pane(Side::Left).generation;
    let mut odd = entry("x");
    odd.name = Name::new(&b"a\xff\\"[..]).unwrap();
    let play = play
        .event(Event::Listed { generation, total: 1, entries: vec![odd] })
        .press("j r")
        .types("b")
        .press("Enter");
    let [Effect::Rename { to, .. }] = play.effects.as_slice() else { panic!("{:?}", play.effects) };
    assert_eq!(to.name().unwrap().as_bytes(), b"a\xff\\b");
}

#[test]
fn the_cursor_goes_to_what_was_made_also_where_nothing_was() {
    for before in [&["a"][..], &[]] {
        let play = app().with([]);
        let play = before.iter().fold(play, |play, name| play.with([name]));
        let made = Some(path("left/new/deep"));
        let play =
            play.event(Event::Changed { link: LinkId::LOCAL, paths: vec![path("left/new/deep")], made });
        assert_eq!(play.lists(Side::Left, ["a", "new/"]).here(), "new", "{before:?}");
    }
}
