//! Keyboards of other scripts: which Latin letter stands on the same key. Where a key is a command, its place counts and not its letter;
//! where text is typed, letters stay letters.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::App;
use super::dialog::Dialog;

/// Each row of a layout, key by key beside what a US keyboard has there. Of letters that stand in two places by country, the commoner.
const LAYOUTS: &[(&str, &str)] = &[
    // Russian, with what Ukrainian, Belarusian and Kazakh have on the same keys.
    ("йцукенгшщзхъ", "qwertyuiop[]"),
    ("фывапролджэ", "asdfghjkl;'"),
    ("ячсмитьбю", "zxcvbnm,."),
    ("ё", "`"),
    ("іїєґў", "s]'\\o"),
    // Bulgarian (traditional), Serbian and Macedonian letters that Russian has not.
    ("љњђћџјѓќѕ", "qw[;xj[;y"),
    // Greek.
    ("ςερτυθιοπ", "wertyuiop"),
    ("ασδφγηξκλ", "asdfghjkl"),
    ("ζχψωβνμ", "zxcvbnm"),
    ("έύίόάήώ", "eyioahv"),
    // Hebrew.
    ("קראטוןםפ", "ertyuiop"),
    ("שדגכעיחלךף", "asdfghjkl;"),
    ("זסבהנמצתץ", "zxcvbnm,."),
];

/// The key as it is meant: by its place, unless it is typed into a line. With Ctrl or Alt it is meant by its place everywhere.
pub(super) fn meant(app: &App, key: KeyEvent) -> KeyEvent {
    let is_command = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    match key.code {
        KeyCode::Char(c) if !c.is_ascii() && (is_command || !takes_text(app)) => {
            let code = KeyCode::Char(latin(c).unwrap_or(c));
            KeyEvent { code, ..key }
        }
        _ => key,
    }
}

/// The character of the same key on a US keyboard; upper case if `c` is.
fn latin(c: char) -> Option<char> {
    let lower = c.to_lowercase().next().filter(|lower| *lower != c);
    let wanted = lower.unwrap_or(c);
    let found = LAYOUTS.iter().find_map(|(letters, keys)| {
        letters.chars().zip(keys.chars()).find(|(letter, _)| *letter == wanted).map(|(_, key)| key)
    })?;
    Some(if lower.is_some() { shifted(found) } else { found })
}

const fn shifted(key: char) -> char {
    match key {
        '[' => '{',
        ']' => '}',
        ';' => ':',
        '\'' => '"',
        ',' => '<',
        '.' => '>',
        '`' => '~',
        '\\' => '|',
        _ => key.to_ascii_uppercase(),
    }
}

/// Returns whether a text line takes the keys.
fn takes_text(app: &App) -> bool {
    match app.dialogs.last() {
        Some(Dialog::Prompt(_) | Dialog::Connect(_)) => true,
        Some(Dialog::Ask(ask)) => ask.focus.is_none(),
        Some(Dialog::Question(asked)) => asked.focus.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_has_one_key_and_every_key_of_a_layout_its_letter() {
        let mut letters: Vec<char> = Vec::new();
        for (row, keys) in LAYOUTS {
            assert_eq!(row.chars().count(), keys.chars().count(), "{row}");
            letters.extend(row.chars());
        }
        let count = letters.len();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), count);
    }

    #[test]
    fn letters_stand_where_keyboards_have_them() {
        for (c, key) in [
            ('о', 'j'),
            ('н', 'y'),
            ('Т', 'N'),
            ('й', 'q'),
            ('Ж', ':'),
            ('ю', '.'),
            ('η', 'h'),
            ('Ν', 'N'),
            ('υ', 'y'),
            ('ט', 'y'),
            ('מ', 'n'),
            ('ף', ';'),
            ('і', 's'),
        ] {
            assert_eq!(latin(c), Some(key), "{c}");
        }
        for c in ['é', 'ß', '漢', 'ñ', '№'] {
            assert_eq!(latin(c), None, "{c}");
        }
    }
}
