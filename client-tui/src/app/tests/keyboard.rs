//! Keyboards of other scripts: a key is meant by its place, and a letter in a line by itself.

use super::play::app;
use crate::app::dialog::Dialog;
use crate::app::effect::Effect;

#[test]
fn keys_of_other_layouts_are_meant_by_their_place() {
    // j in Russian, Greek and Hebrew.
    for (down, delete, no, yes) in [("о", "в", "т", "н"), ("ξ", "δ", "ν", "υ"), ("ח", "ג", "מ", "ט")]
    {
        let play = app().with(["a", "b"]).press(down);
        assert_eq!(play.here(), "a", "{down}");
        let play = play.press(delete);
        assert!(matches!(play.app.dialogs[..], [Dialog::Delete(_)]), "{delete}");
        let play = play.press(no);
        assert!(play.app.dialogs.is_empty() && play.effects.is_empty(), "{no}");
        let play = play.press(delete).press(yes);
        assert!(matches!(play.effects[..], [Effect::Remove { .. }]), "{yes}");
    }
    assert_eq!(app().with(["a", "b"]).press("C-ф").marked(), "a b");
    assert_eq!(app().with(["a", "b"]).press("П").here(), "b", "G");
    assert_eq!(app().press("й").effects, [Effect::Quit]);
}

#[test]
fn letters_in_a_line_are_letters() {
    let line = |keys: &str, text: &str| app().with(["ию"]).press(keys).types(text);
    for (keys, text) in [(":", "ню"), ("/", "ию"), ("f", "ητ"), ("F7", "דנ")] {
        let play = line(keys, text);
        let typed = match play.app.dialogs.last() {
            Some(Dialog::Prompt(prompt)) => prompt.line.text.clone(),
            Some(Dialog::Ask(ask)) => ask.line.text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(typed, text, "{keys}");
        // Ctrl combinations go by the key's position, too.
        assert_ne!(play.press("C-г").app.dialogs, line(keys, text).app.dialogs, "{keys}");
    }
    // On a button of the same window letters are keys.
    assert!(line("F7", "н").press("Tab т").app.dialogs.is_empty());
}
