//! Where the cursor is, what a pane shows while it is read, and what becomes of it when that fails.

use towpath_protocol::answer::Totals;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::path::Name;

use super::play::{Play, app, entry, local, path};
use crate::app::dialog::Dialog;
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::app::update::update;
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
    let [Effect::MakeFolder { ref place, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    assert_eq!(*place, local("left/new"));
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
        .press("j r End")
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

#[test]
fn a_folder_that_is_entered_has_its_cursor_on_the_first_entry_and_each_remembers_where_it_stood() {
    let play = app().with(["a/", "b/"]).press("j l").lists(Side::Left, ["deep/", "x", "y"]);
    assert_eq!(play.here(), "deep");
    // Two presses lead two folders down.
    let play = play.press("l").lists(Side::Left, ["z"]);
    assert_eq!(
        (play.app.pane(Side::Left).place.path.clone(), play.here()),
        (path("left/a/deep"), "z".into())
    );
    let play =
        play.press("h").lists(Side::Left, ["deep/", "x", "y"]).press("G h").lists(Side::Left, ["a/", "b/"]);
    assert_eq!(play.here(), "a");
    let play = play.press("l").lists(Side::Left, ["deep/", "x", "y"]);
    assert_eq!(play.here(), "y", "where it was left");
    // Also by another way.
    let play = play.press("C-l").types("/left").press("Enter").lists(Side::Left, ["a/", "b/"]).press("C-l");
    let play = play.types("/left/a").press("Enter").lists(Side::Left, ["deep/", "x", "y"]);
    assert_eq!(play.here(), "y");
    // Where nothing is, and where what it stood on is gone.
    let play = app().with(["a/"]).press("j l").lists(Side::Left, []);
    assert_eq!(play.here(), "../");
    let play = play.press("h").lists(Side::Left, ["a/"]).press("l").lists(Side::Left, ["new"]);
    assert_eq!(play.here(), "new");
}

#[test]
fn right_and_l_never_go_up() {
    for key in ["l", "Right"] {
        let play = app().with([]).press(key);
        assert_eq!((play.read_again(), play.here()), (Vec::new(), "../".into()), "{key}");
        let play = app().with(["a/"]).press(key);
        assert_eq!(play.read_again(), ["left/a"], "{key}: from ../ into the first");
        let play = app().with(["a"]).press(key);
        assert_eq!((play.read_again(), play.said()), (Vec::new(), "a is a file"), "{key}");
    }
    assert_eq!(app().with([]).press("Enter").read_again(), [""]);
}

#[test]
fn measured_folders_stand_in_the_order_of_their_sizes() {
    let measured = |mut play: Play, bytes: &[u64]| {
        let tickets: Vec<u64> = play
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Measure { ticket, .. } => Some(*ticket),
                _ => None,
            })
            .collect();
        assert_eq!(tickets.len(), bytes.len());
        for (ticket, bytes) in tickets.into_iter().zip(bytes) {
            let outcome = Ok(Totals { files: 1, bytes: *bytes, ..Totals::default() });
            play = play.event(Event::Measured { ticket, outcome });
        }
        play
    };
    let play = app().with(["a/", "b/", "c/", "file=9"]).press("j v j j v z");
    let play = measured(play, &[5, 70, 6]).press(", s").lists(Side::Left, ["a/", "b/", "c/", "file=9"]);
    assert_eq!(play.shown(Side::Left), "b c a file");
    assert_eq!(play.marked(), "b c a", "marks stay on their names");
    let play = play.press(", s").lists(Side::Left, ["a/", "b/", "c/", "file=9"]);
    assert_eq!(play.shown(Side::Left), "a c b file");
    // Counted when the order is there already; what is not counted stands behind.
    let play =
        app().with(["a/", "b/", "c/"]).press(", s").lists(Side::Left, ["a/", "b/", "c/"]).press("j v j v z");
    let play = measured(play, &[5, 70]);
    assert_eq!((play.shown(Side::Left), play.here()), ("b a c".into(), "b".into()));
}

#[test]
fn a_part_that_could_not_be_read_is_no_size() {
    let play = app().with(["f/"]).press("j z");
    let [Effect::Measure { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let totals = Totals { folders: 1, failed: 1, ..Totals::default() };
    let play = play.event(Event::Measured { ticket, outcome: Ok(totals) });
    assert!(play.said().contains("contents unreadable"), "{}", play.said());
    assert!(play.app.pane(Side::Left).rows.measured.is_empty());
}

#[test]
fn a_window_whose_change_fails_keeps_its_text_and_says_why() {
    let ticket_of = |play: &Play| {
        play.effects.iter().find_map(|effect| match effect {
            Effect::MakeFolder { ticket, .. }
            | Effect::MakeFile { ticket, .. }
            | Effect::Rename { ticket, .. } => Some(*ticket),
            _ => None,
        })
    };
    for keys in ["F7", "a", "S-F4", "j r"] {
        let play = app().with(["old"]).press(keys).press("C-u").types("taken").press("Enter");
        let ticket = ticket_of(&play).unwrap();
        assert!(play.ask().is_busy(), "{keys}");
        // Nothing is sent twice, and what is typed meanwhile is not lost among the panes.
        let play = play.press("Enter x d y");
        assert_eq!((ticket_of(&play), play.app.dialogs.len()), (None, 1), "{keys}");
        let failed = |ticket| Event::Done {
            ticket,
            link: LinkId::LOCAL,
            outcome: Err(FaultCode::AlreadyExists.into()),
        };
        let play = play.event(failed(ticket));
        assert_eq!((play.ask().line.text.as_str(), play.ask().is_busy()), ("taken", false), "{keys}");
        assert!(play.ask().problem.as_deref().is_some_and(|why| why.contains("exists")), "{:?}", play.ask());
        let play = play.waits([Timer::Hands]).types("2").press("Enter");
        let ticket = ticket_of(&play).unwrap();
        let play = play.event(Event::Done { ticket, link: LinkId::LOCAL, outcome: Ok(()) });
        assert_eq!(play.app.dialogs, [], "{keys}");
        assert!(play.said().contains("taken2"), "{}", play.said());
        // One that was closed meanwhile says it at the bottom.
        let play = app().with(["old"]).press(keys).press("C-u").types("taken").press("Enter");
        let ticket = ticket_of(&play).unwrap();
        let play = play.press("Esc").event(failed(ticket));
        assert!(play.app.dialogs.is_empty() && play.said().contains("exists"), "{}", play.said());
    }
}

#[test]
fn a_wrong_path_keeps_its_window_too() {
    let play = app().with(["a"]).press("C-l").types("/no/where").press("Enter");
    assert!(play.ask().is_busy());
    let play = play.listing_fails(Side::Left, FaultCode::NotFound);
    assert_eq!((play.ask().line.text.as_str(), play.ask().is_busy()), ("/no/where", false));
    assert!(play.ask().problem.is_some());
    assert_eq!(play.app.pane(Side::Left).place, local("left"), "the pane is where it was");
    let play =
        play.waits([Timer::Hands]).press("C-u").types("/left/b").press("Enter").lists(Side::Left, ["x"]);
    assert_eq!((play.app.dialogs.len(), play.app.pane(Side::Left).place.clone()), (0, local("left/b")));
}

#[test]
fn a_folder_that_does_not_answer_keeps_no_window_and_no_pane() {
    let asked = || app().with(["a"]).press("C-l").types("/no/answer").press("Enter");
    let at = |play: &Play| play.app.pane(Side::Left).place.clone();
    let play = asked().waits([Timer::Answer]);
    assert_eq!((play.app.dialogs.len(), at(&play)), (0, local("no/answer")));
    // It fails after all; or another key leads elsewhere.
    let failed = asked().waits([Timer::Answer]).listing_fails(Side::Left, FaultCode::TimedOut);
    assert_eq!((at(&failed), failed.said().is_empty()), (local("left"), false));
    assert_eq!(at(&play.press("Backspace").lists(Side::Left, ["answer/"])), local("no"));
    // Esc stays, in the window and in the pane; what comes later changes nothing.
    for play in [
        asked().press("Esc"),
        asked().waits([Timer::Answer]).press("Esc"),
        app().with(["a/"]).press("j Enter Esc"),
    ] {
        assert_eq!(
            (play.app.dialogs.len(), at(&play), play.app.pane(Side::Left).loading),
            (0, local("left"), false)
        );
        assert_eq!(play.lists(Side::Left, ["late"]).shown(Side::Left), "a");
    }
    // So it is with a change.
    let play = app().with(["a"]).press("F7").types("new").press("Enter");
    let ticket = play.effects.iter().find_map(|effect| match effect {
        Effect::MakeFolder { ticket, .. } => Some(*ticket),
        _ => None,
    });
    let play = play.waits([Timer::Answer]);
    assert_eq!(play.app.dialogs, []);
    let outcome = Err(FaultCode::AlreadyExists.into());
    let play = play.event(Event::Done { ticket: ticket.unwrap(), link: LinkId::LOCAL, outcome });
    assert!(play.said().contains("exists"), "{}", play.said());
    // A window that has not asked for anything stays.
    assert_eq!(app().with(["a"]).press("F7").waits([Timer::Answer]).app.dialogs.len(), 1);
}

#[test]
fn what_was_looked_away_from_is_read_again_quietly() {
    let play = app().with(["a", "b"]).press("G").event(Event::LookedAtAgain);
    assert_eq!(play.read_again(), ["left", "right"]);
    assert!(play.app.pane(Side::Left).is_quiet);
    assert_eq!(play.lists(Side::Left, ["a", "b", "new"]).here(), "b");
}

#[test]
fn the_newest_line_goes_after_a_while_and_a_good_one_takes_a_bad_ones_place() {
    let mut play = app().with(["a"]);
    let said = |good, text: &str| Event::Said { good, text: text.to_owned() };
    let effects = update(&mut play.app, said(false, "bad"));
    assert_eq!(effects, [Effect::Wait { timer: Timer::News, ms: 20_000 }]);
    let effects = update(&mut play.app, said(true, "good"));
    assert_eq!((effects, play.said()), (vec![Effect::Wait { timer: Timer::News, ms: 8_000 }], "good"));
    let play = play.event(Event::Tick).waits([Timer::News]);
    assert_eq!((play.said(), play.app.log.len()), ("", 2), "the log keeps both");
}

#[test]
fn a_name_without_a_slash_is_a_file_after_a_and_a_folder_after_f7() {
    let made = |keys: &str, name: &str| {
        let play = app().with([]).press(keys).types(name).press("Enter");
        matches!(play.effects[..], [Effect::MakeFile { .. }])
    };
    assert!(made("a", "new") && !made("a", "new/") && !made("F7", "new") && made("S-F4", "new"));
}

#[test]
fn a_search_without_a_match_says_so_while_it_is_typed_and_afterwards() {
    let problem = |play: &Play| match play.app.dialogs.last() {
        Some(Dialog::Prompt(prompt)) => prompt.problem,
        other => panic!("{other:?}"),
    };
    let play = app().with(["abc"]).press("/").types("abx");
    assert_eq!(problem(&play), Some("no match"));
    let play = play.press("Backspace");
    assert_eq!(problem(&play), None);
    assert_eq!(play.types("zz").press("Enter").said(), "abzz: no match");
}
