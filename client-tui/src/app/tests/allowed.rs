//! What a server does not allow is refused at once, in words, and asked of nobody.

use towpath_protocol::permissions::Permissions;

use super::play::{Play, app};
use crate::app::command::Command;
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
            play.said().contains("not allowed"),
            !allowed,
            "{keys} where it may {words}: {}",
            play.said()
        );
        if !allowed {
            assert!(play.effects.is_empty() && play.app.dialogs.is_empty(), "{keys} where it may {words}");
            assert!(play.said().contains(&format!("this client may {words} there")), "{}", play.said());
        }
    }
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
