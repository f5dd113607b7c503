//! What ssh asks on the way to a server, and the offer to put this program there.

use super::play::{Play, app, local};
use crate::app::dialog::{Dialog, Questioned};
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::model::{LinkId, Outlook, Question, QuestionKind, Secret, Side};

/// On its way to a server, the right pane where `connme` was typed.
fn connecting() -> (Play, LinkId) {
    let play = app().line("connme ssh://box");
    let link = play.link(Side::Right);
    (play, link)
}

fn question(link: LinkId, ticket: u64, kind: QuestionKind) -> Event {
    Event::Questioned { link, question: Question { ticket, kind, text: "Well?".into(), is_again: false } }
}

/// Asked, and heard again.
fn asked(kind: QuestionKind) -> (Play, LinkId) {
    let (play, link) = connecting();
    let play = play.event(question(link, 7, kind));
    assert_eq!(play.effects, [Effect::Wait { timer: Timer::Hands, ms: 500 }]);
    (play.types("what was meant for the panes").waits([Timer::Hands]), link)
}

fn offered() -> (Play, LinkId) {
    let (play, link) = connecting();
    let (system, text) = ("Linux x86_64".to_owned(), "Copy?".to_owned());
    (play.event(Event::InstallOffered { link, system, text }).waits([Timer::Hands]), link)
}

fn given_up(play: &Play, link: LinkId) {
    assert!(play.effects.contains(&Effect::Disconnect(link)), "{:?}", play.effects);
    assert!(
        !play.effects.iter().any(|effect| matches!(effect, Effect::Reply { .. } | Effect::Install { .. }))
    );
    assert_eq!((play.app.dialogs.len(), play.app.servers.len()), (0, 0));
    assert_eq!(play.app.pane(Side::Right).place, local("right"));
}

#[test]
fn what_is_typed_goes_to_ssh_as_it_was_typed_and_is_printed_nowhere() {
    let (play, _) = asked(QuestionKind::Secret);
    let play = play.types("nonsense").press("C-u").types("yn q:x").press("Backspace");
    let Some(Dialog::Question(Questioned { typed, .. })) = play.app.dialogs.last() else { panic!() };
    assert_eq!(typed.text(), "yn q:");
    assert!(!format!("{:?}", play.app.dialogs).contains("yn q"));
    let play = play.event(Event::Paste("\u{1b}é\n".into())).press("Enter");
    assert_eq!(play.effects, [Effect::Reply { ticket: 7, answer: Secret::of("yn q:é") }]);
    assert_eq!(play.app.dialogs, []);
    // An answer without a letter is one as well.
    let play = asked(QuestionKind::Secret).0.press("Enter");
    assert_eq!(play.effects, [Effect::Reply { ticket: 7, answer: Secret::default() }]);
    let play = asked(QuestionKind::Secret).0.types("x").press("Tab Enter");
    assert_eq!(play.effects, [Effect::Reply { ticket: 7, answer: Secret::of("x") }]);
}

#[test]
fn an_answer_that_is_too_long_is_cut_before_it_has_to_move() {
    let mut secret = Secret::default();
    let place = secret.text().as_ptr();
    secret.push(&"é".repeat(Secret::BYTES_MAX));
    assert_eq!((secret.text().len(), secret.text().as_ptr()), (Secret::BYTES_MAX, place));
}

#[test]
fn whoever_refuses_gives_the_connection_up_and_keeps_the_panes() {
    for kind in [QuestionKind::Secret, QuestionKind::Confirm, QuestionKind::Notice] {
        for keys in ["Esc", "C-c", "Tab Tab Enter"] {
            if (kind, keys) == (QuestionKind::Notice, "Tab Tab Enter") {
                continue;
            }
            let (play, link) = asked(kind);
            given_up(&play.press(keys), link);
        }
    }
    let (play, link) = asked(QuestionKind::Notice);
    given_up(&play.press("n"), link);
}

#[test]
fn yes_is_said_by_its_letter_or_its_button_and_never_by_enter_alone() {
    let yes = [Effect::Reply { ticket: 7, answer: Secret::of("yes") }];
    assert_eq!(asked(QuestionKind::Confirm).0.press("y").effects, yes);
    assert_eq!(asked(QuestionKind::Confirm).0.press("Right Enter").effects, yes);
    let (play, link) = asked(QuestionKind::Confirm);
    given_up(&play.press("Enter"), link);
    // A key is to be touched: nothing that is typed means that it was.
    let play = asked(QuestionKind::Notice).0.press("y Enter x");
    let replies = |effect: &Effect| matches!(effect, Effect::Reply { .. });
    assert!(!play.effects.iter().any(replies) && play.app.dialogs.len() == 1);
}

#[test]
fn a_question_that_nobody_waits_for_any_more_is_gone() {
    let (play, _) = asked(QuestionKind::Notice);
    assert_eq!(play.event(Event::QuestionOver { ticket: 6 }).app.dialogs.len(), 1);
    let endings = |link| {
        [
            Event::QuestionOver { ticket: 7 },
            Event::Connected {
                link,
                name: "ssh://box".into(),
                path: super::play::path("home"),
                round_trip_ms: None,
            },
            Event::NotConnected { link, why: "late".into(), outlook: Outlook::MayPass, at_ns: 1 },
        ]
    };
    for at in 0..3 {
        let (play, link) = asked(QuestionKind::Secret);
        assert_eq!(play.event(endings(link)[at].clone()).app.dialogs, []);
    }
    // Nor is anything asked for a connection that was given up meanwhile, or that nobody has called for.
    let (play, link) = connecting();
    assert_eq!(play.press("Esc").event(question(link, 8, QuestionKind::Secret)).app.dialogs, []);
    let play = app().connected(["a"]);
    let link = play.link(Side::Right);
    let play = play.event(Event::Disconnected { link, why: "gone".into(), at_ns: 7 });
    let play = play.waits([Timer::Reconnect(link)]).event(question(link, 9, QuestionKind::Secret));
    assert_eq!(play.app.dialogs, []);
}

#[test]
fn a_question_lies_beneath_what_a_person_is_typing() {
    let (play, link) = connecting();
    let play = play.press("F7").types("na").event(question(link, 7, QuestionKind::Secret)).types("me");
    assert_eq!(play.ask().line.text, "name");
    let play = play.press("Esc").types("lost").waits([Timer::Hands]).types("kept").press("Enter");
    assert_eq!(play.effects, [Effect::Reply { ticket: 7, answer: Secret::of("kept") }]);
}

#[test]
fn this_program_is_put_there_only_where_a_person_says_so() {
    for keys in ["Enter", "n", "Esc"] {
        let (play, link) = offered();
        given_up(&play.press(keys), link);
    }
    for keys in ["y", "Right Enter"] {
        let (play, link) = offered();
        let play = play.press(keys);
        let (target, system) = ("ssh://box".to_owned(), "Linux x86_64".to_owned());
        assert_eq!(play.effects, [Effect::Install { link, target, system }]);
        assert!(play.said().contains("copying this tow"), "{}", play.said());
        // ssh may ask meanwhile, and Esc gives it up.
        let play = play.event(question(link, 1, QuestionKind::Secret)).waits([Timer::Hands]);
        given_up(&play.press("Esc"), link);
    }
}
