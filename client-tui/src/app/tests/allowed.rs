//! Commands that a server does not allow are refused at once, in words; the server, which may log it, is asked something harmless.

use towpath_protocol::path::Name;
use towpath_protocol::permissions::{Permission, Permissions};

use super::play::{Play, app};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::model::Side;

/// The right pane, in which this client may do only so much, is active.
fn may(words: &str) -> Play {
    let play = app().there(["x"]).connected(["a", "f/"]);
    let link = play.link(Side::Right);
    play.event(Event::Allowed { link, may: words.parse().unwrap() }).press("Tab")
}

#[test]
fn what_a_server_does_not_allow_is_refused_in_words() {
    for (words, keys, allowed) in [
        ("list,read", "F5", true),
        ("list,read", "F6", false),
        ("list,read", "F7", false),
        ("list,read", "F8", false),
        ("list,read", "F2", false),
        ("list,write", "F5", false),
        ("list,write", "F7", true),
        ("list,read,write", "F2", false),
        ("list,delete", "F8", true),
        ("list,read,write,delete", "F2", true),
    ] {
        let play = may(words).press(keys);
        assert_eq!(
            play.said().contains(": you may "),
            !allowed,
            "{keys} where it may {words}: {}",
            play.said()
        );
        if !allowed {
            let is_asked = matches!(&play.effects[..], [Effect::AskRefused { link, permission, .. }]
                if *link == play.link(Side::Right) && !words.contains(permission.word()));
            assert!(
                is_asked && play.app.dialogs.is_empty(),
                "{keys} where it may {words}: {:?}",
                play.effects
            );
            let may: Permissions = words.parse().unwrap();
            let why =
                if words.contains("write") || words.contains("delete") { "not allowed" } else { "read-only" };
            assert!(
                play.said().ends_with(&format!(": {why}: you may {}", may.in_words())),
                "{}",
                play.said()
            );
        }
    }
}

#[test]
fn a_server_is_asked_for_what_the_key_meant() {
    let asked = |play: Play| match &play.effects[..] {
        [Effect::AskRefused { permission, path, .. }] => (*permission, path.clone()),
        effects => panic!("{effects:?}"),
    };
    let folder = |play: &Play| play.app.here().place.path.clone();
    let play = may("list,read").press("j");
    let (here, name) = (folder(&play), play.app.here().rows.current().unwrap().name.clone());
    assert_eq!(asked(play.press("F8")), (Permission::Delete, here.join(&name).unwrap()));
    // A new folder has no name yet.
    assert_eq!(asked(may("list,read").press("F7")), (Permission::Write, here.clone()));
    // From the other pane.
    let play = app().with(["mine"]).connected(["a"]);
    let link = play.link(Side::Right);
    let play = play.event(Event::Allowed { link, may: Permissions::READ_ONLY });
    let mine = play.app.there().place.path.join(&Name::try_from("mine").unwrap()).unwrap();
    assert_eq!(asked(play.press("j").press("F5")), (Permission::Write, mine));
}

#[test]
fn the_other_panes_server_counts_where_something_goes_there() {
    let play = may("list,read").press("Tab");
    assert!(!play.app.is_allowed(Command::Copy) && !play.app.is_allowed(Command::Move));
    assert!(play.app.is_allowed(Command::Delete) && play.app.is_allowed(Command::Rename));
    let link = play.link(Side::Right);
    let play = play.event(Event::Allowed { link, may: Permissions::ALL });
    assert!(play.app.is_allowed(Command::Copy));
}
