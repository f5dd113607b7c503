//! The connect screen, and bookmarks.

use super::play::{Play, app, local, path};
use crate::app::connect::{Connect, From};
use crate::app::dialog::Dialog;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::app::servers::State;
use crate::model::{Asking, LinkId, Side};

/// With two bookmarks; two targets of late and two hosts of ssh are known.
fn opened() -> Play {
    let mut play = app();
    play.app.bookmarks.set("box", Some("tow://box/srv"));
    play.app.bookmarks.set("home", Some("/home/me"));
    let play = play.press("C");
    assert_eq!(play.effects, [Effect::KnownTargets]);
    let recent = vec!["tow://late/".to_owned(), "tow://box/srv/".to_owned()];
    play.event(Event::TargetsKnown { recent, hosts: vec!["web".into(), "db".into()] })
}

fn screen(play: &Play) -> &Connect {
    match play.app.dialogs.last() {
        Some(Dialog::Connect(screen)) => screen,
        other => panic!("no screen: {other:?}"),
    }
}

fn rows(play: &Play) -> Vec<String> {
    screen(play).rows().into_iter().map(|offer| offer.target.clone()).collect()
}

#[test]
fn what_is_known_is_offered_once_and_narrowed_down_by_what_is_typed() {
    let play = opened();
    assert_eq!(rows(&play), ["tow://box/srv", "/home/me", "tow://late/", "ssh://web", "ssh://db"]);
    assert_eq!(screen(&play).rows()[0].from, From::Bookmark);
    assert_eq!(rows(&play.types("WEB")), ["ssh://web"]);
    assert_eq!(rows(&opened().types("ho")), ["/home/me"]);
    assert_eq!(rows(&opened().types("nothing like it")), [""; 0]);
}

#[test]
fn enter_connects_the_active_pane_to_the_row_or_to_what_is_typed() {
    let table = [
        ("Down Down Down Enter", "", "tow://late/"),
        ("Down Enter", "", "tow://box/srv"),
        ("Enter", "tow://new:7/x", "tow://new:7/x"),
        ("Enter", "box:deep", "tow://box/srv/deep"),
        ("Enter", "web", "ssh://web"),
        ("Tab Enter", "db", "ssh://db"),
        ("Tab Enter", "bo", "tow://box/srv"),
    ];
    for (keys, typed, expected) in table {
        let play = opened().types(typed).press(keys);
        let asked = play.effects.iter().find_map(|effect| match effect {
            Effect::Connect { target, asking: Asking::Allowed, .. } => Some(target.as_str()),
            _ => None,
        });
        assert_eq!((asked, play.app.dialogs.len()), (Some(expected), 0), "{keys} {typed}");
        assert_ne!(play.link(Side::Left), LinkId::LOCAL, "{keys} {typed}");
    }
    let play = opened().press("Down Down Enter");
    assert_eq!(play.app.pane(Side::Left).place, local("home/me"), "a bookmark of this machine");
}

#[test]
fn a_word_that_is_no_target_stays_in_the_line_with_a_hint() {
    let play = opened().types("nowhere").press("Enter");
    assert_eq!(play.effects, []);
    let problem = screen(&play).problem.clone().unwrap();
    assert!(problem.contains("tow://nowhere/") && problem.contains("ssh://nowhere/"), "{problem}");
    assert_eq!(opened().press("Enter").effects, []);
    assert_eq!(screen(&play.types("x")).problem, None);
    assert_eq!(opened().press("Esc").app.dialogs, []);
}

#[test]
fn connections_of_the_session_come_first_with_their_state_and_can_be_ended() {
    let play = app().connected(["a"]).press("C");
    assert_eq!(rows(&play), ["tow://box/srv"]);
    assert!(matches!(play.app.state_of("tow://box/srv"), Some(State::Live { .. })));
    let link = play.link(Side::Right);
    let play = play.press("Down C-d");
    assert!(play.effects.contains(&Effect::Disconnect(link)));
    assert_eq!(play.link(Side::Right), LinkId::LOCAL);
    assert_eq!(play.app.state_of("tow://box/srv"), None);
    assert_eq!(screen(&play.press("Down C-d")).problem.as_deref(), Some("not connected to it"));
}

#[test]
fn another_folder_of_a_server_that_is_connected_needs_no_other_connection() {
    let play = app().connected(["a"]).line("connme tow://box:7171/other/deep");
    assert_eq!((play.read_again(), play.app.servers.len()), (vec!["other/deep".to_owned()], 1));
}

#[test]
fn a_bookmark_is_kept_under_the_name_that_is_typed() {
    let play = opened().types("tow://new/x").press("C-b");
    assert_eq!(play.ask().line.text, "x");
    let play = play.press("C-u").types("a b").press("Enter");
    assert!(play.ask().problem.is_some());
    let play = play.press("C-u").types("new").press("Enter");
    let (name, target) = ("new".to_owned(), Some("tow://new/x".to_owned()));
    assert_eq!(play.effects, [Effect::KeepBookmark { name, target }]);
    assert_eq!(play.app.bookmarks.target("new"), Some("tow://new/x"));
    assert!(
        rows(&play).contains(&"tow://new/x".to_owned()) && rows(&play).len() == 1,
        "what is typed narrows"
    );
}

#[test]
fn where_a_pane_is_can_be_a_bookmark() {
    let play = app().press("m");
    let play = play.press("Enter");
    assert_eq!(play.app.bookmarks.target("left"), Some("/left"));
    let play = app().connected(["a"]).press("Tab m Enter");
    assert_eq!(play.app.bookmarks.target("srv"), Some("tow://box:7171/srv"));
    let play = play.press("Tab '").types("srv:sub").press("Enter").lists(Side::Left, []);
    assert_eq!(play.app.pane(Side::Left).place.path, path("srv/sub"));
}

#[test]
fn the_only_one_that_fits_is_meant_and_of_several_one_is_to_be_chosen() {
    let mut play = app();
    for (name, target) in [("beta", "tow://beta/srv"), ("gamma", "tow://gamma/"), ("gamut", "tow://gamut/")] {
        play.app.bookmarks.set(name, Some(target));
    }
    let play = play.press("'").types("be").press("Enter");
    assert!(
        matches!(&play.effects[..], [Effect::Connect { target, .. }] if target == "tow://beta/srv"),
        "{:?}",
        play.effects
    );
    let mut play = app();
    for (name, target) in [("gamma", "tow://gamma/"), ("gamut", "tow://gamut/")] {
        play.app.bookmarks.set(name, Some(target));
    }
    let play = play.press("'").types("ga").press("Enter");
    assert_eq!(screen(&play).problem.as_deref(), Some("2 match: ↓ chooses one"));
}

#[test]
fn a_bookmark_that_stands_for_something_else_is_replaced_by_a_second_enter_only() {
    let mut play = app();
    play.app.bookmarks.set("left", Some("tow://box/srv"));
    let play = play.press("m").press("Enter");
    assert!(
        play.effects.is_empty()
            && play.ask().problem.as_deref().is_some_and(|why| why.contains("tow://box/srv"))
    );
    assert_eq!(play.press("Enter").app.bookmarks.target("left"), Some("/left"));
}

#[test]
fn what_is_offered_can_be_forgotten() {
    let play = opened().press("Down Delete");
    assert_eq!(play.effects, [], "it asks");
    let play = play.press("y");
    assert_eq!(play.effects, [Effect::KeepBookmark { name: "box".into(), target: None }]);
    assert_eq!(play.app.bookmarks.target("box"), None);
    let play = opened().types("late").press("Down Delete");
    assert_eq!(play.effects, [Effect::ForgetTarget("tow://late/".into())]);
    let play = opened().types("web").press("Down Delete");
    assert_eq!((play.effects.len(), rows(&play).len()), (0, 1), "ssh's own configuration is left alone");
}

#[test]
fn what_was_connected_to_is_noted_and_what_is_back_is_not_noted_again() {
    let play = app().line("connme tow://box/srv");
    let link = play.link(Side::Right);
    let connected =
        || Event::Connected { link, name: "tow://box:7171".into(), path: path("srv"), round_trip_ms: None };
    let play = play.event(connected());
    assert!(play.effects.contains(&Effect::NoteTarget("tow://box/srv".into())));
    let play =
        play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 1 }).press("C").event(connected());
    assert!(!play.effects.iter().any(|effect| matches!(effect, Effect::NoteTarget(_))));
}

#[test]
fn bookmarks_are_known_wherever_a_target_or_a_path_is_typed() {
    let connects = |play: &Play, expected: &str| {
        play.effects
            .iter()
            .any(|effect| matches!(effect, Effect::Connect { target, .. } if target == expected))
    };
    let with = || {
        let mut play = app().with(["a"]);
        play.app.bookmarks.set("box", Some("tow://box:7171/srv"));
        play.app.bookmarks.set("docs", Some("/home/me/docs"));
        play
    };
    for line in ["connme box", "cd box", "cd tow://box:7171/srv"] {
        assert!(connects(&with().line(line), "tow://box:7171/srv"), "{line}");
    }
    assert!(connects(&with().press("C-l").types("box:x").press("Enter"), "tow://box/srv/x"));
    assert_eq!(with().line("cd docs:new").app.pane(Side::Left).place, local("home/me/docs/new"));
    let play = with().press("j F5 BackTab C-u").types("docs:").press("Enter");
    let [Effect::Look { place, .. }] = play.effects.as_slice() else { panic!("{:?}", play.effects) };
    assert_eq!(*place, local("home/me/docs"));
    // The same server, with its port or without.
    let play = app().connected([]).line("connme tow://box/srv/deep");
    assert_eq!(play.read_again(), ["srv/deep"]);
    // A bookmark is completed.
    let mut play = with().press(":").types("connme d");
    play = play.press("Tab");
    assert_eq!(play.prompt_text(), "connme docs ");
}
