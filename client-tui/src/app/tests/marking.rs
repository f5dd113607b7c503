//! Marks: one by one, in ranges, all, by pattern; and what they add up to.

use super::play::app;
use crate::model::Side;

#[test]
fn marks_by_keys() {
    let table = [
        ("j Space Space", "a b"),
        ("Insert", ""),
        ("j Insert k Space", ""),
        ("C-a", "a b c d"),
        ("C-a C-a", ""),
        ("j Space C-a", "a b c d"),
        ("j Space *", "b c d"),
        ("j v j j", "a b c"),
        ("j v j j k", "a b"),
        ("j v j j v j", "a b c"),
        ("j v j j Esc j", "a b c"),
        ("j j j v k k", "a b c"),
        ("j j v j k k", "a b"),
        ("j Space j v k", "a b c"),
        ("j j Space k k v j k", "a b"),
        ("j v G", "a b c d"),
        ("j v G g g", "a"),
        ("j S-Down S-Down", "a b c"),
        ("j S-Down S-Down S-Up", "a b"),
        ("j S-Down j j S-Up", "a b c d"),
        ("S-Down", "a"),
    ];
    for (keys, expected) in table {
        assert_eq!(app().with(["a", "b", "c", "d"]).press(keys).marked(), expected, "{keys}");
    }
}

#[test]
fn a_pattern_marks_and_unmarks() {
    let play = app().with(["a.txt", "b.md", "c.txt"]).press("+").types("*.txt").press("Enter");
    assert_eq!(play.marked(), "a.txt c.txt");
    let play = play.press("-").types("c*").press("Enter");
    assert_eq!(play.marked(), "a.txt");
    let play = play.press("+").types("[").press("Enter");
    assert!(play.ask().problem.is_some());
}

#[test]
fn a_prefix_typed_for_a_pattern_is_all_of_it() {
    let play =
        app().with(["IMG_40.jpg", "IMG_41.jpg", "my-IMG_40.jpg"]).press("+").types("IMG_40*").press("Enter");
    assert_eq!(play.marked(), "IMG_40.jpg");
}

#[test]
fn marks_that_a_filter_hides_are_counted_and_nothing_is_done_to_them() {
    let filtered = |keys: &str| app().with(["ab", "bc", "cd", "IMG"]).press(keys).press("f");
    // Two marked, both hidden.
    for key in ["F5", "F6", "F8", "y", "x", "z"] {
        let play = filtered("j Space Space").types("IMG").press("Enter").press(key);
        assert_eq!(
            (play.app.dialogs.len(), play.effects.len(), play.app.clipboard.is_none()),
            (0, 0, true),
            "{key}"
        );
        assert_eq!(
            play.said(),
            "2 marked entries are hidden by the filter: nothing done; Esc clears the filter"
        );
    }
    // One of three shows.
    let play = filtered("j Space Space Space").types("d").press("Enter");
    assert_eq!(play.app.pane(Side::Left).rows.marks_hidden(), 2);
    let play = play.press("F5");
    assert_eq!(play.said(), "2 marked entries are hidden by the filter and left out");
    assert_eq!(play.press("Enter").carried(), [("left/cd".to_owned(), "right/cd".to_owned())]);
    let play = filtered("j Space Space").types("a").press("Enter").line("rm");
    assert_eq!(play.said(), "1 marked entry is hidden by the filter and left out");
    // Marking all that shows, and none of it, leaves what is hidden as it is.
    let play = filtered("j Space").types("b").press("Enter C-a C-a Esc");
    assert_eq!(play.marked(), "");
    let play = filtered("j j j Space").types("b").press("Enter C-a C-a Esc");
    assert_eq!(play.marked(), "cd");
}

#[test]
fn only_what_shows_is_marked_and_marks_outlive_the_filter() {
    let play = app().with(["ab", "bc", "cd"]).press("f").types("b").press("Enter C-a Esc");
    assert_eq!((play.marked(), play.shown(Side::Left)), ("ab bc".into(), "ab bc cd".into()));
}

#[test]
fn marks_outlive_a_refresh_on_names_that_are_still_there() {
    let play = app().with(["a", "b", "c"]).press("j Space Space C-r").lists(Side::Left, ["b", "c", "d"]);
    assert_eq!(play.marked(), "b");
}

#[test]
fn totals_know_what_folders_hold_once_it_was_counted() {
    let play = app().with(["a=5", "b=7", "f/"]).press("C-a");
    let rows = &play.app.pane(Side::Left).rows;
    assert_eq!((rows.marks.len(), rows.marked_bytes(), rows.bytes()), (3, 12, 12));
    let mut play = play;
    play.app.pane_mut(Side::Left).rows.measure(&"f".try_into().unwrap(), 100);
    play.app.check();
    let rows = &play.app.pane(Side::Left).rows;
    assert_eq!((rows.marked_bytes(), rows.bytes()), (112, 112));
    assert_eq!(play.press("C-a").app.pane(Side::Left).rows.marked_bytes(), 0);
}

#[test]
fn what_a_server_says_does_not_overflow() {
    let play = app().with(["a=18446744073709551615", "b=18446744073709551615"]).press("C-a");
    assert_eq!(play.app.pane(Side::Left).rows.marked_bytes(), u64::MAX);
    assert_eq!(play.press("j Space").app.pane(Side::Left).rows.marked_bytes(), u64::MAX);
}
