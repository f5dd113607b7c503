//! The panes: what is in them, and how it is shown.

use towpath::app::event::Event;
use towpath::config::{Background, Colors};
use towpath::model::{LinkId, Side};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;

use super::{assert_looks, assert_looks_in, assert_looks_on};
use crate::names::nasty_names;
use crate::world::{World, file, folder, link, photos};

#[test]
fn two_panes() {
    let mut world = World::connected();
    assert_looks(&mut world, "first");
    world.press("Tab Down");
    assert_looks(&mut world, "other-pane");
}

#[test]
fn few_colours_or_none() {
    let mut world = World::connected();
    world.press("Down Space Space Down");
    for (colors, suffix) in
        [(Colors::Indexed, "-indexed"), (Colors::Sixteen, "-sixteen"), (Colors::Off, "-no-colour")]
    {
        assert_looks_in(&mut world, "marks", colors, (80, 24), suffix);
    }
    for (colors, suffix) in [
        (Colors::True, "-on-light"),
        (Colors::Indexed, "-indexed-on-light"),
        (Colors::Sixteen, "-sixteen-on-light"),
    ] {
        assert_looks_on(&mut world, "marks", (colors, Background::Light), (80, 24), suffix);
    }
    world.press("F8");
    assert_looks_in(&mut world, "delete", Colors::Sixteen, (80, 24), "-sixteen");
    assert_looks_in(&mut world, "delete", Colors::Off, (80, 24), "-no-colour");
    world.press("Esc F7");
    assert_looks_in(&mut world, "make-folder", Colors::Off, (80, 24), "-no-colour");
}

#[test]
fn a_folder_that_is_being_read() {
    let mut world = World::new("/home/ann/photos", "/home/ann");
    world.answers = false;
    world.begin();
    let generation = world.app.pane(Side::Left).generation;
    assert_looks(&mut world, "loading-nothing-yet");
    world.send(Event::Listed { generation, total: 100_000, entries: photos() });
    world.send(Event::Tick);
    assert_looks(&mut world, "loading");
}

#[test]
fn marks_and_what_they_hold() {
    let mut world = World::connected();
    world.press("Down Space Space Down Down Space");
    world.press("Down Down Space Space Space");
    assert_looks(&mut world, "marks");
    world.press("#");
    assert_looks(&mut world, "human-sizes");
    world.press("#");
    assert_looks(&mut world, "bytes");
}

#[test]
fn a_filter_and_a_search() {
    let mut world = World::connected();
    world.press("f");
    world.write("raw-000");
    assert_looks(&mut world, "filter-typed");
    world.press("Enter");
    assert_looks(&mut world, "filter");
    world.press("Space Space f");
    world.write("sheet");
    assert_looks(&mut world, "filter-hides-marks");
    world.press("Enter Ctrl-a Esc Down Ctrl-a Ctrl-a f");
    world.write("zzz");
    assert_looks(&mut world, "filter-of-nothing");
    world.press("Esc /");
    world.write("raw-0012");
    assert_looks(&mut world, "find");
}

#[test]
fn sorted_another_way() {
    let mut world = World::connected();
    world.press(", s");
    assert_looks(&mut world, "sorted-by-size");
}

#[test]
fn names_that_are_long_wide_or_nasty() {
    let mut world =
        World::new("/nasty", "/home/ann/a folder/whose path/goes on and on/until it is/too long to show");
    let nasty = nasty_names();
    let (first, second) = nasty.split_at(nasty.len() / 2);
    world.folder(LinkId::LOCAL, "/nasty", first.iter().map(|name| file(name, 1_000_000, 1)).collect());
    world.folder(
        LinkId::LOCAL,
        "/home/ann/a folder/whose path/goes on and on/until it is/too long to show",
        second.iter().map(|name| file(name, 1_000_000, 1)).collect(),
    );
    world.begin();
    assert_looks(&mut world, "nasty-names");
    world.press("End Tab End");
    assert_looks(&mut world, "nasty-names-end");
    world.press("F8");
    assert_looks(&mut world, "nasty-names-delete");
}

#[test]
fn links_and_things_that_are_no_files() {
    let mut world = World::new("/dev", "/");
    let special = |text: &str, kind| {
        let mut entry = file(text, 0, 2);
        entry.attributes.kind = kind;
        entry
    };
    world.folder(
        LinkId::LOCAL,
        "/dev",
        vec![
            link("to-a-folder", "../etc", Some(Kind::Folder)),
            link("to-a-file", "/etc/hosts", Some(Kind::File)),
            link("to-nowhere", "gone/and/lost", None),
            link(
                "far",
                "../../../../a/very/long/way/to/something/that-has-a-long-name.tar.gz",
                Some(Kind::File),
            ),
            special("fifo", Kind::Fifo),
            special("socket", Kind::Socket),
            special("tty", Kind::CharacterDevice),
            special("disk", Kind::BlockDevice),
        ],
    );
    world.folder(LinkId::LOCAL, "/", vec![folder("dev", 3)]);
    world.begin();
    assert_looks(&mut world, "links");
}

#[test]
fn an_empty_folder_and_one_that_may_not_be_read() {
    let mut world = World::new("/empty", "/closed");
    world.folder(LinkId::LOCAL, "/empty", Vec::new());
    world.fault(LinkId::LOCAL, "/closed", FaultCode::PermissionDenied);
    world.begin();
    assert_looks(&mut world, "empty-and-unreadable");
}
