//! What is in the way of a job: one dialog for all of it.

use crossterm::event::{MouseButton, MouseEventKind};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;

use super::play::{Play, app, attributes, newer};
use crate::app::conflicts::Content;
use crate::app::dialog::{Answer, Dialog, Reach};
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::app::hits::Spot;
use crate::model::{Choice, Conflict, ConflictKind, JobId, LinkId, Scope};

const JOB: JobId = JobId(1);

/// Newer, newer, older, and a folder in the way.
fn four() -> Play {
    let play = app().with(["a", "b", "c"]).there(["x"]).press("j Space Space F5 Enter");
    assert_eq!(play.job(), JOB);
    let older = Conflict { kind: ConflictKind::Older, ..newer(3, "right/c") };
    let there = Some(attributes(Kind::Folder, 0, 10));
    let folder = Conflict { kind: ConflictKind::Folder, there, ..newer(4, "right/d") };
    let play = come(play, newer(1, "right/a"));
    let play = come(come(come(play, newer(2, "right/b")), older), folder);
    assert_eq!((play.app.dialogs.len(), play.app.answers_wanted()), (0, 4), "a badge, and no layer");
    play.press("o").lets_go()
}

fn come(play: Play, conflict: Conflict) -> Play {
    play.event(Event::JobConflict { id: JOB, conflict })
}

/// The names of what still waits, and the one under the cursor.
fn waiting(play: &Play) -> (Vec<u64>, Option<u64>) {
    let open = play.app.jobs[0].conflicts.iter().map(|open| open.conflict.id).collect();
    let cursor = play.app.dialogs.iter().find_map(|dialog| match dialog {
        Dialog::Conflicts(shown) => Some(shown.cursor),
        _ => None,
    });
    (open, cursor)
}

#[test]
fn answers_to_conflicts() {
    let one = Scope::One(1);
    let table = [
        ("o", one, Choice::Overwrite, vec![2, 3, 4]),
        ("y", one, Choice::Overwrite, vec![2, 3, 4]),
        ("Enter", one, Choice::Skip, vec![2, 3, 4]),
        ("n", one, Choice::Skip, vec![2, 3, 4]),
        ("b", one, Choice::KeepBoth, vec![2, 3, 4]),
        ("w", one, Choice::NewerOnly, vec![2, 3, 4]),
        ("d", one, Choice::Different, vec![2, 3, 4]),
        ("Right Enter", one, Choice::KeepBoth, vec![2, 3, 4]),
        ("Left Enter", one, Choice::Overwrite, vec![2, 3, 4]),
        ("j o", Scope::One(2), Choice::Overwrite, vec![1, 3, 4]),
        ("G s", Scope::One(4), Choice::Skip, vec![1, 2, 3]),
        ("G b", Scope::One(4), Choice::KeepBoth, vec![1, 2, 3]),
        ("t o", Scope::Kind(ConflictKind::Newer), Choice::Overwrite, vec![3, 4]),
        ("j j t s", Scope::Kind(ConflictKind::Older), Choice::Skip, vec![1, 2, 4]),
        // One reaches for all, and what is not offered for a kind stays.
        ("a o", Scope::All, Choice::Overwrite, vec![4]),
        ("Space s", Scope::All, Choice::Skip, vec![]),
        ("t a o", Scope::All, Choice::Overwrite, vec![4]),
        ("a a o", one, Choice::Overwrite, vec![2, 3, 4]),
        // Of a kind one may be short enough to be completed.
        ("t r", Scope::Kind(ConflictKind::Newer), Choice::Resume, vec![3, 4]),
    ];
    for (keys, scope, choice, rest) in table {
        let play = four().press(keys);
        assert_eq!(play.effects, [Effect::Decide { job: JOB, scope, choice }], "{keys}");
        assert_eq!(waiting(&play).0, rest, "{keys}");
        assert_eq!(play.app.dialogs.is_empty(), rest.is_empty(), "{keys}");
    }
}

#[test]
fn what_is_not_offered_is_no_answer() {
    for keys in ["r", "G o", "G y", "G w", "G d", "G r"] {
        let play = four().press(keys);
        assert!(!play.effects.iter().any(|effect| matches!(effect, Effect::Decide { .. })), "{keys}");
        assert_eq!(waiting(&play).0, [1, 2, 3, 4], "{keys}");
    }
}

#[test]
fn after_an_answer_the_next_one_is_asked_with_the_safe_answer_in_focus() {
    let play = four().press("j t o");
    assert_eq!(waiting(&play), (vec![3, 4], Some(3)));
    let Some(Dialog::Conflicts(shown)) = play.app.dialogs.last() else { panic!("{:?}", play.app.dialogs) };
    assert_eq!(shown.reach, Reach::This);
    assert_eq!(play.press("Enter").effects.len(), 1);
    // A folder offers other answers; the safe one still has the focus.
    let play = four().press("Right G Enter");
    assert_eq!(play.effects, [Effect::Decide { job: JOB, scope: Scope::One(4), choice: Choice::Skip }]);
}

#[test]
fn what_comes_later_moves_nothing_under_the_cursor() {
    let play = four().press("j");
    let play = come(play, newer(5, "right/e")).event(Event::JobSettled { id: JOB, conflict: 1 });
    assert_eq!(waiting(&play), (vec![2, 3, 4, 5], Some(2)));
    let play = play.event(Event::JobSettled { id: JOB, conflict: 2 });
    assert_eq!(waiting(&play), (vec![3, 4, 5], Some(3)));
}

#[test]
fn what_was_decided_for_all_of_a_kind_is_not_asked_again_when_it_comes_late() {
    let play = come(four().press("t s"), newer(9, "right/late"));
    assert_eq!(waiting(&play).0, [3, 4]);
}

#[test]
fn put_away_it_waits_and_a_key_opens_it_again_also_from_the_jobs_view() {
    let play = four().press("Esc");
    assert_eq!((play.effects.len(), play.app.dialogs.len()), (0, 0));
    assert_eq!(play.said(), "4 conflicts wait; o opens the question again");
    let play = come(play, newer(5, "right/e"));
    assert_eq!((play.app.dialogs.len(), waiting(&play).0.len()), (0, 5));
    let play = play.press("w o a s");
    assert_eq!(play.effects, [Effect::Decide { job: JOB, scope: Scope::All, choice: Choice::Skip }]);
    assert!(matches!(play.app.dialogs[..], [Dialog::Jobs { .. }]));
    assert_eq!(play.press("o").said(), "Nothing needs an answer");
}

#[test]
fn contents_are_compared_when_asked_for() {
    let play = four().press("=");
    let [Effect::Compare { job: JOB, ref conflict, source: LinkId::LOCAL, destination: LinkId::LOCAL }] =
        play.effects[..]
    else {
        panic!("{:?}", play.effects)
    };
    assert_eq!(conflict.id, 1);
    assert_eq!(play.app.jobs[0].conflicts.get(1).unwrap().content, Content::Comparing);
    let mut play = play.press("=");
    assert_eq!(play.effects, [], "it is under way");
    let outcomes = [
        (Ok(true), Content::Same),
        (Ok(false), Content::Different),
        (Err(FaultCode::NotFound.into()), Content::Failed("no such file or folder".into())),
    ];
    for (outcome, content) in outcomes {
        play = play.event(Event::JobCompared { id: JOB, conflict: 1, outcome });
        assert_eq!(play.app.jobs[0].conflicts.get(1).unwrap().content, content);
    }
    let compares = |effect: &Effect| matches!(effect, Effect::Compare { .. });
    assert!(!four().press("G =").effects.iter().any(compares), "a folder has no content of that kind");
}

#[test]
fn the_mouse_chooses_and_answers() {
    let down = MouseEventKind::Down(MouseButton::Left);
    let play = four().mouse(down, (40, 12), Some(Spot::Row(2)), 0);
    assert_eq!(waiting(&play).1, Some(3));
    let play = play.mouse(MouseEventKind::ScrollUp, (40, 12), None, 0);
    assert_eq!(waiting(&play).1, Some(1));
    let kind = Some(Spot::Button(Answer::Reach(Reach::Kind)));
    let skip = Some(Spot::Button(Answer::Choose(Choice::Skip)));
    let play = play.mouse(down, (40, 12), kind, 0).mouse(down, (40, 12), skip, 0);
    let scope = Scope::Kind(ConflictKind::Newer);
    assert_eq!(play.effects, [Effect::Decide { job: JOB, scope, choice: Choice::Skip }]);
}

#[test]
fn a_job_that_is_cancelled_takes_its_questions_along() {
    let play = four().press("Esc w").event(Event::JobShort { id: JOB, needed: 2, free: 1 }).press("x y");
    assert!(matches!(play.app.dialogs[..], [Dialog::Jobs { .. }]), "{:?}", play.app.dialogs);
    let play = come(play, newer(7, "right/g"));
    assert!(matches!(play.app.dialogs[..], [Dialog::Jobs { .. }]), "{:?}", play.app.dialogs);
}

#[test]
fn what_finds_no_room_goes_on_unless_somebody_stops_it() {
    for (keys, effects) in
        [("Enter", vec![]), ("Esc", vec![]), ("n", vec![]), ("y", vec![Effect::CancelJob(JOB)])]
    {
        let play =
            app().with(["a"]).press("j F5 Enter").event(Event::JobShort { id: JOB, needed: 2, free: 1 });
        assert_eq!((play.app.dialogs.len(), play.app.answers_wanted()), (0, 1));
        let play = play.press("o").press(keys);
        // Later is no answer.
        let wanted = usize::from(keys == "Esc");
        assert_eq!((play.effects.clone(), play.app.dialogs.len()), (effects, 0), "{keys}");
        assert_eq!(play.app.answers_wanted(), wanted, "{keys}");
    }
}
