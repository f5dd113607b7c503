//! The mouse, by the same geometry as the drawing.

use crossterm::event::{MouseButton, MouseEventKind};

use super::play::{app, local};
use crate::app::command::Command;
use crate::app::dialog::Answer;
use crate::app::effect::Effect;
use crate::app::hits::Spot;
use crate::app::layout::Layout;
use crate::model::Side;
use towpath_protocol::request::{Direction, SortKey};

#[test]
fn a_click_takes_focus_and_cursor_and_a_second_one_opens() {
    let play = app().there(["a", "f/"]);
    let list = Layout::of(&play.app, play.app.screen).unwrap().list(Side::Right);
    let row = (list.x + 3, list.y + 2);
    let play = play.click(row, 1000);
    assert_eq!((play.app.active, play.here()), (Side::Right, "f".to_owned()));
    let slow = app().there(["a", "f/"]).click(row, 1000).click(row, 2000);
    assert_eq!(slow.app.pane(Side::Right).place, local("right"));
    assert_eq!(play.click(row, 1300).app.pane(Side::Right).place, local("right/f"));
}

#[test]
fn a_click_below_the_last_row_moves_nothing() {
    let play = app().with(["a"]).press("j").click((5, 15), 0);
    assert_eq!(play.here(), "a");
}

#[test]
fn the_divider_is_dragged_and_both_panes_keep_room() {
    let drag = MouseEventKind::Drag(MouseButton::Left);
    for (to, left) in [(60, 60), (2, 16), (79, 64), (0, 16)] {
        let play = app().mouse(MouseEventKind::Down(MouseButton::Left), (40, 5), None, 0).mouse(
            drag,
            (to, 5),
            None,
            1,
        );
        assert_eq!(Layout::of(&play.app, (80, 24)).unwrap().panes[0].width, left);
    }
    let play = app().mouse(drag, (60, 5), None, 1);
    assert_eq!(play.app.left_permille, 500);
}

#[test]
fn the_wheel_scrolls_the_pane_under_it() {
    let names: [&str; 40] = ["f/"; 40];
    let names = std::array::from_fn::<String, 40, _>(|at| format!("{at:02}{}", names[at]));
    let names: [&str; 40] = std::array::from_fn(|at| names[at].as_str());
    let play = app().there(names).mouse(MouseEventKind::ScrollDown, (60, 5), None, 0);
    assert_eq!((play.app.pane(Side::Right).rows.top, play.app.active), (3, Side::Left));
    let play = play.mouse(MouseEventKind::ScrollUp, (60, 5), None, 0).mouse(
        MouseEventKind::ScrollUp,
        (60, 5),
        None,
        0,
    );
    assert_eq!(play.app.pane(Side::Right).rows.top, 0);
}

#[test]
fn words_of_the_key_bar_and_buttons_can_be_clicked() {
    let down = MouseEventKind::Down(MouseButton::Left);
    let play = app().with(["a"]).press("j").mouse(down, (1, 23), Some(Spot::Key(Command::Delete)), 0);
    assert_eq!(play.app.dialogs.len(), 1);
    let play = play.mouse(down, (1, 23), Some(Spot::Key(Command::Quit)), 0);
    assert_eq!(play.app.dialogs.len(), 1, "a layer covers what is below");
    let play = play.mouse(down, (30, 12), Some(Spot::Button(Answer::Yes)), 0);
    assert!(matches!(play.effects[..], [Effect::Remove { .. }]));
}

#[test]
fn a_click_on_a_heading_sorts_its_pane_and_a_second_one_the_other_way_round() {
    let down = MouseEventKind::Down(MouseButton::Left);
    let heading = Some(Spot::Heading(Side::Right, Command::SortSize));
    let play = app().there(["a", "b"]).mouse(down, (60, 2), heading, 0);
    let pane = play.app.pane(Side::Right);
    assert_eq!(
        (play.app.active, pane.sort, pane.direction),
        (Side::Right, SortKey::Size, Direction::Descending)
    );
    assert_eq!(play.read_again(), ["right"]);
    let play = play.mouse(down, (60, 2), heading, 0);
    assert_eq!(play.app.pane(Side::Right).direction, Direction::Ascending);
}

#[test]
fn a_click_beside_the_help_closes_it() {
    let down = MouseEventKind::Down(MouseButton::Left);
    assert_eq!(app().press("F1").mouse(down, (0, 0), Some(Spot::Window), 0).app.dialogs.len(), 1);
    assert_eq!(app().press("F1").mouse(down, (0, 0), None, 0).app.dialogs.len(), 0);
}

#[test]
fn f85_a_mouse_beside_the_screen_does_nothing_but_end_a_drag_at_its_edge() {
    let left = MouseButton::Left;
    let outside = [(u16::MAX, 1), (80, 5), (5, 24), (u16::MAX, u16::MAX)];
    for at in outside {
        let before = app().there(["a", "f/"]);
        for kind in [MouseEventKind::Down(left), MouseEventKind::ScrollDown, MouseEventKind::ScrollUp] {
            let play = app().there(["a", "f/"]).mouse(kind, at, None, 0);
            assert_eq!((play.app.active, play.here()), (before.app.active, before.here()));
        }
    }
    let play = app().mouse(MouseEventKind::Down(left), (40, 5), None, 0);
    let play = play.mouse(MouseEventKind::Drag(left), (u16::MAX, u16::MAX), None, 1);
    assert_eq!(Layout::of(&play.app, (80, 24)).unwrap().panes[0].width, 64);
}
