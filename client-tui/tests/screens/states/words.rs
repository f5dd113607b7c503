//! What is typed, asked and told: questions, the command line, news, help.

use towpath::app::event::Event;
use towpath::config::Colors;
use towpath_protocol::answer::Totals;

use super::{assert_looks, assert_looks_in};
use crate::world::World;

#[test]
fn a_first_key_waits_for_its_second() {
    let mut world = World::connected();
    world.press("g");
    assert_looks_in(&mut world, "second-after-g", Colors::True, (80, 24), "");
    world.press("g ,");
    assert_looks(&mut world, "second-after-comma");
}

#[test]
fn questions() {
    let mut world = World::connected();
    world.press("Down Space Space Space F8");
    assert_looks(&mut world, "delete-counting");
    world.measured(412, 3, 886_610_000);
    assert_looks(&mut world, "delete");
    world.press("Right");
    assert_looks(&mut world, "delete-yes");
    // Never "0 files" of a folder that could not be read.
    world.measured_but_for(1, Totals { folders: 1, ..Totals::default() });
    assert_looks_in(&mut world, "delete-unreadable", Colors::True, (80, 24), "");
    world.press("Esc F5");
    assert_looks(&mut world, "copy");
    world.press("Esc F2");
    assert_looks(&mut world, "rename");
    world.press("Esc F7");
    assert_looks(&mut world, "make-folder");
    world.press("Esc :");
    world.write("connme tow://box:7171/pictures");
    assert_looks(&mut world, "command-line");
}

#[test]
fn ranges_pasting_and_completion() {
    let mut world = World::connected();
    world.press("Down v Down Down");
    assert_looks_in(&mut world, "range", Colors::True, (80, 24), "");
    world.press("y Tab p");
    assert_looks_in(&mut world, "paste", Colors::True, (80, 24), "");
    world.press("Esc :");
    world.write("c");
    world.press("Tab");
    assert_looks_in(&mut world, "completion", Colors::True, (80, 24), "");
}

#[test]
fn more_that_is_typed() {
    let mut world = World::connected();
    world.press("+");
    assert_looks_in(&mut world, "mark-by-pattern", Colors::True, (80, 24), "");
    world.press("Esc Ctrl-l");
    assert_looks_in(&mut world, "go-to", Colors::True, (80, 24), "");
    // Onto itself.
    world.press("Esc = Down F5");
    assert_looks(&mut world, "copy-refused");
    world.press("Esc :");
    world.write("help");
    world.press("Enter");
    assert_looks(&mut world, "words");
}

#[test]
fn news_and_log() {
    let mut world = World::connected();
    world.send(Event::Said {
        good: true,
        text: "copied and verified: 412 files, 812.40 MB, 2.1 s".to_owned(),
    });
    assert_looks(&mut world, "good-news");
    let text = "/home/ann/photos/a folder/with a rather long path/raw-0001.dng: no space left on the disk of tow://box";
    world.send(Event::Said { good: false, text: text.to_owned() });
    assert_looks(&mut world, "error");
    world.press("E");
    assert_looks(&mut world, "log");
}

#[test]
fn help() {
    let mut world = World::connected();
    world.press("F1");
    assert_looks(&mut world, "help");
    world.press("Down Down Down");
    assert_looks_in(&mut world, "help-scrolled", Colors::True, (40, 10), "");
}

#[test]
fn a_screen_that_is_too_small() {
    let mut world = World::connected();
    for size in [(39, 24), (80, 9), (12, 4), (1, 1)] {
        assert_looks_in(&mut world, "too-small", Colors::True, size, "");
    }
}
