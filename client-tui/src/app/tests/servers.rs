//! Connections: made, given up, lost, made again, closed.

use towpath_protocol::fault::FaultCode;

use super::play::{Play, app, local, path};
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::app::servers::State;
use crate::model::{Asking, LinkId, Outlook, Side};

fn lost() -> Play {
    let play = app().connected(["a", "f/"]);
    let link = play.link(Side::Right);
    play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 7 })
}

/// And the person, in its pane, has stopped all attempts.
fn given_up() -> Play {
    let play = lost().press("Tab Esc");
    assert!(play.said().contains("C reconnects"), "{}", play.said());
    play.waits([Timer::Digit])
}

fn attempt_fails(play: Play, outlook: Outlook, at_ns: i64) -> Play {
    let link = play.app.servers[0].link;
    play.event(Event::NotConnected { link, why: "connection refused".into(), outlook, at_ns })
}

#[test]
fn connme_takes_the_right_pane_to_the_server() {
    let play = app().connected(["a"]);
    assert_eq!(
        (play.shown(Side::Right), play.app.pane(Side::Right).place.path.clone()),
        ("a".into(), path("srv"))
    );
    assert_eq!(play.line("connme").said(), "connected to tow://box:7171");
}

#[test]
fn a_connection_that_fails_gives_the_pane_back() {
    let play = app().there(["x"]).line("connme tow://box");
    let link = play.link(Side::Right);
    assert_ne!(link, LinkId::LOCAL);
    let play = play.event(Event::NotConnected {
        link,
        why: "connection refused".into(),
        outlook: Outlook::MayPass,
        at_ns: 1,
    });
    assert_eq!((play.shown(Side::Right), play.app.servers.len()), ("x".into(), 0));
    assert!(play.said().contains("connection refused"), "{}", play.said());
}

#[test]
fn esc_gives_a_hanging_connection_up() {
    let play = app().line("connme tow://box");
    let link = play.link(Side::Right);
    let play = play.press("Esc");
    assert!(play.effects.contains(&Effect::Disconnect(link)));
    assert_eq!(play.app.pane(Side::Right).place, local("right"));
    let late = Event::Connected { link, name: "tow://box:7171".into(), path: path(""), round_trip_ms: None };
    assert_eq!(play.event(late).effects, [Effect::Disconnect(link)]);
}

#[test]
fn a_pane_that_was_opened_on_a_server_never_turns_into_one_of_this_machine() {
    let mut play = app();
    let effect = play.app.open_on(Side::Right, "tow://box");
    let Effect::Connect { link, .. } = effect else { panic!("{effect:?}") };
    let play =
        play.event(Event::NotConnected { link, why: "no".into(), outlook: Outlook::MayPass, at_ns: 1 });
    assert_eq!(play.link(Side::Right), link);
    assert!(play.app.pane(Side::Right).fault.as_deref().unwrap().contains("C tries again"));
    assert_eq!(
        play.press("Tab C").effects,
        [Effect::Connect { link, target: "tow://box".into(), asking: Asking::Allowed }]
    );
}

#[test]
fn a_lost_pane_keeps_what_it_shows_and_refuses_changes_in_words() {
    for keys in ["F5", "F6", "F7", "F8", "r", "G Enter", "h", "C-r", ", s", ".", "z", "y", "x", "g /"] {
        let play = given_up().press("j").press(keys);
        assert_eq!((play.effects.len(), play.app.dialogs.len()), (0, 0), "{keys}");
        assert!(play.said().contains("not connected"), "{keys}: {}", play.said());
        assert_eq!(play.shown(Side::Right), "a f", "{keys}");
    }
    assert_eq!(given_up().press("j j").here(), "f");
}

#[test]
fn a_loss_says_why_and_since_when() {
    let play = lost();
    assert!(play.said().contains("gone"), "{}", play.said());
    let State::Lost(loss) = &play.app.servers[0].state else { panic!("{:?}", play.app.servers) };
    assert_eq!((loss.why.as_str(), loss.at_ns), ("gone", Some(7)));
}

#[test]
fn a_pane_whose_first_listing_is_cut_off_waits_on_the_server_and_does_not_return() {
    let play = app().there(["x"]).line("connme tow://box/srv");
    let link = play.link(Side::Right);
    let connected =
        || Event::Connected { link, name: "tow://box:7171".into(), path: path("srv"), round_trip_ms: None };
    let play = play.event(connected()).listing_fails(Side::Right, FaultCode::Disconnected);
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 7 });
    assert_eq!((play.link(Side::Right), play.shown(Side::Right)), (link, String::new()));
    let play = play.waits([Timer::Reconnect(link)]).event(connected());
    assert_eq!(play.read_again(), ["srv"]);
    assert_eq!(play.lists(Side::Right, ["a"]).shown(Side::Right), "a");
}

#[test]
fn connecting_again_reads_the_same_folder_on_the_same_link() {
    for play in [lost().press("C"), lost().line("connme")] {
        let link = play.link(Side::Right);
        assert_eq!(
            play.effects,
            [Effect::Connect { link, target: "tow://box/srv".into(), asking: Asking::Allowed }]
        );
        let name = "tow://box:7171".into();
        let play = play.event(Event::Connected { link, name, path: path("other"), round_trip_ms: None });
        assert_eq!(play.read_again(), ["srv"]);
    }
}

#[test]
fn byebye_closes_and_the_pane_is_back_on_this_machine() {
    let play = app().there(["x"]).connected(["a"]);
    let link = play.link(Side::Right);
    let play = play.line("byebye");
    assert!(play.effects.contains(&Effect::Disconnect(link)));
    assert_eq!(play.app.pane(Side::Right).place, local("right"));
    assert!(play.app.servers.is_empty());
    let play = play.lists(Side::Right, ["x"]).press("Tab H");
    assert_eq!(
        play.app.pane(Side::Right).place,
        local("right"),
        "nothing leads back to a server that was left"
    );
}

#[test]
fn byebye_asks_while_a_job_uses_the_connection() {
    let play = app().with(["a"]).connected([]).press("j F5 Enter").line("byebye");
    assert_eq!((play.effects.len(), play.app.dialogs.len()), (0, 1));
    let play = play.press("y");
    assert!(
        matches!(play.effects[..], [Effect::CancelJob(_), Effect::Disconnect(_), ..]),
        "{:?}",
        play.effects
    );
}

#[test]
fn word_of_a_link_that_nobody_knows_is_ignored() {
    let link = LinkId(77);
    let play = app().event(Event::Disconnected { link, why: String::new(), at_ns: 0 });
    let play =
        play.event(Event::NotConnected { link, why: String::new(), outlook: Outlook::Stays, at_ns: 0 });
    assert_eq!(play.effects, []);
}

#[test]
fn a_server_that_no_pane_shows_any_more_is_shown_again_by_its_name() {
    let play = app().there(["x"]).connected(["a"]).press("Tab H").lists(Side::Right, ["x"]);
    assert_eq!(play.link(Side::Right), LinkId::LOCAL);
    let play = play.line("connme tow://box/srv").lists(Side::Right, ["root"]);
    assert_eq!((play.app.servers.len(), play.shown(Side::Right)), (1, "root".into()));
}

#[test]
fn the_way_back_to_a_lost_server_is_kept_until_it_is_there_again() {
    let play = app().connected(["a"]).press("Tab").line("cd /").lists(Side::Right, ["srv/"]).press("H");
    let play = play.lists(Side::Right, ["a"]).press("H").lists(Side::Right, []);
    assert_eq!(play.link(Side::Right), LinkId::LOCAL);
    let link = play.app.servers[0].link;
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 7 });
    let play = play.press("L L");
    assert_eq!((play.effects.len(), play.link(Side::Right)), (0, LinkId::LOCAL));
    assert_eq!(play.app.pane(Side::Right).next_place(true).unwrap().link, link);
}

#[test]
fn a_lost_connection_is_made_again_after_pauses_that_grow_to_thirty_seconds() {
    let mut play = lost();
    let link = play.link(Side::Right);
    let timer = Timer::Reconnect(link);
    assert_eq!(play.effects, [Effect::Wait { timer, ms: 1_000 }]);
    for (tries, seconds) in [2, 4, 8, 16, 30, 30, 30].into_iter().enumerate() {
        play = play.waits([timer]);
        let silently = Effect::Connect { link, target: "tow://box/srv".into(), asking: Asking::Forbidden };
        assert_eq!(play.effects, [silently]);
        play = attempt_fails(play, Outlook::MayPass, tries as i64);
        assert_eq!(play.effects, [Effect::Wait { timer, ms: seconds * 1_000 }]);
        let loss = play.app.servers[0].loss().unwrap();
        assert_eq!((loss.at_ns, loss.why.as_str()), (Some(7), "connection refused"));
        let again_at_ns = tries as i64 + seconds as i64 * 1_000_000_000;
        assert_eq!(loss.retry.unwrap().again_at_ns, again_at_ns);
    }
    // Told once, not every time.
    assert_eq!(play.app.log.iter().filter(|(_, text)| text.contains("connection refused")).count(), 1);
}

#[test]
fn a_connection_that_is_back_takes_up_folder_cursor_and_marks() {
    let play = app().connected(["a", "b", "f/"]).press("Tab Space");
    let link = play.link(Side::Right);
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 7 });
    assert_eq!(play.shown(Side::Right), "a b f");
    let play = play.waits([Timer::Reconnect(link)]);
    let name = "tow://box:7171".into();
    let play = play.event(Event::Connected { link, name, path: path("home"), round_trip_ms: None });
    assert_eq!((play.read_again(), play.said()), (vec!["srv".to_owned()], "tow://box:7171: connected again"));
    let play = play.lists(Side::Right, ["0", "a", "b"]);
    assert_eq!(play.here(), "b");
    assert!(play.app.pane(Side::Right).rows.is_marked(2) && !play.app.pane(Side::Right).rows.is_marked(1));
}

#[test]
fn esc_in_its_pane_stops_the_attempts_and_in_the_other_pane_does_not() {
    let play = lost().press("Esc");
    let link = play.link(Side::Right);
    assert!(play.app.servers[0].retry().is_some());
    let waiting = play.waits([Timer::Digit]).press("Tab Esc");
    assert!(waiting.effects.contains(&Effect::Disconnect(link)));
    assert_eq!(waiting.waits([Timer::Reconnect(link)]).effects, []);
    let trying = lost().waits([Timer::Reconnect(link)]).press("Tab Esc");
    assert!(trying.effects.contains(&Effect::Disconnect(link)), "an attempt that hangs is given up");
    assert!(matches!(trying.app.servers[0].state, State::Lost(_)));
    let name = "tow://box:7171".into();
    let late = Event::Connected { link, name, path: path(""), round_trip_ms: None };
    assert_eq!(trying.event(late).effects, [Effect::Disconnect(link)], "too late");
}

#[test]
fn any_key_in_its_pane_tries_at_once_and_in_the_other_pane_none_does() {
    for keys in ["j", "F5", "z", "C"] {
        let play = lost().press("Tab");
        assert_eq!(play.effects, [], "Tab was pressed in the other pane");
        let play = play.press(keys);
        let connects = play.effects.iter().filter(|effect| matches!(effect, Effect::Connect { .. })).count();
        assert_eq!((connects, play.effects.len(), play.app.dialogs.len()), (1, 1, 0), "{keys}");
        // One attempt at a time.
        assert_eq!(play.press("j k").effects, [], "{keys}");
    }
    assert_eq!(lost().press("j k").effects, []);
}

#[test]
fn impatience_makes_no_pause_longer() {
    let timer = Timer::Reconnect(LinkId(1));
    let mut play = attempt_fails(lost().waits([timer]), Outlook::MayPass, 1);
    assert_eq!(play.effects, [Effect::Wait { timer, ms: 2_000 }]);
    play = play.press("Tab");
    for _ in 0..20 {
        play = attempt_fails(play.press("j"), Outlook::MayPass, 1);
        assert_eq!(play.effects, [Effect::Wait { timer, ms: 2_000 }]);
    }
}

#[test]
fn attempts_that_nobody_called_for_ask_for_nothing() {
    let play = lost().waits([Timer::Reconnect(LinkId(1))]).event(Event::CodeWanted { link: LinkId(1) });
    assert_eq!(play.app.dialogs, []);
    // A person's own may.
    let play = given_up().press("C").event(Event::CodeWanted { link: LinkId(1) });
    assert_eq!(play.app.dialogs.len(), 1);
    let play = play.waits([Timer::Hands]).press("Esc");
    assert!(play.effects.contains(&Effect::Disconnect(LinkId(1))));
    assert_eq!(play.app.servers[0].retry(), None);
}

#[test]
fn what_will_not_pass_by_itself_ends_the_attempts() {
    let play = attempt_fails(lost().waits([Timer::Reconnect(LinkId(1))]), Outlook::Stays, 9);
    assert_eq!((play.effects.len(), play.app.servers[0].retry()), (0, None));
    assert_eq!(play.press("Tab j").effects, []);
}

#[test]
fn an_attempt_of_a_persons_own_that_fails_begins_the_pauses_anew() {
    let play = attempt_fails(given_up().press("C"), Outlook::MayPass, 9);
    assert_eq!(play.effects, [Effect::Wait { timer: Timer::Reconnect(LinkId(1)), ms: 1_000 }]);
}
