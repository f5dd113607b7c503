//! Bookmarks in the text of the configuration file. Parsed as TOML, and edited where the parser says things stand: every other byte stays.

use std::ops::Range;

use toml_edit::{Document, Item, Key, Table, Value};

/// A byte order mark, which some editors put first.
const MARK: &str = "\u{feff}";

/// The text with bookmark `name` set to `target`, or without it if that is `None`. Err if the text is not TOML, or has something else
/// where bookmarks belong.
pub(super) fn with_bookmark(text: &str, name: &str, target: Option<&str>) -> anyhow::Result<String> {
    let (mark, text) = text.strip_prefix(MARK).map_or(("", text), |rest| (MARK, rest));
    let document = Document::parse(text).map_err(|error| anyhow::anyhow!("{}", error.message()))?;
    let key = Key::new(name).to_string();
    let value = target.map(|target| Value::from(target).to_string());
    let (at, new) = match (document.get("bookmarks"), value) {
        (None, None) => (0..0, String::new()),
        (None, Some(value)) => (text.len()..text.len(), section(text, &key, &value)),
        (Some(Item::Table(table)), value) => in_table(text, table, name, (&key, value))?,
        (Some(Item::Value(Value::InlineTable(table))), value) => {
            let mut table = table.clone();
            match target {
                Some(target) => drop(table.insert(name, target.into())),
                None => drop(table.remove(name)),
            }
            let at = document.get("bookmarks").and_then(Item::span);
            let _ = value;
            (at.ok_or_else(lost)?, table.to_string().trim().to_owned())
        }
        (Some(_), _) => anyhow::bail!("bookmarks: not a table"),
    };
    let (before, after) = (part(text, 0..at.start)?, part(text, at.end..text.len())?);
    Ok(format!("{mark}{before}{new}{after}"))
}

/// One change to a table of lines.
fn in_table(
    text: &str,
    table: &Table,
    name: &str,
    (key, value): (&str, Option<String>),
) -> anyhow::Result<(Range<usize>, String)> {
    if let Some((old, item)) = table.get_key_value(name) {
        let at = item.span().ok_or_else(lost)?;
        let Some(value) = value else {
            // The whole line, with the comment behind it.
            let start = line_start(text, old.span().ok_or_else(lost)?.start)?;
            return Ok((start..line_end(text, at.end)?, String::new()));
        };
        return Ok((at, value));
    }
    let Some(value) = value else { return Ok((0..0, String::new())) };
    let last = table.iter().filter_map(|(_, item)| item.span()).map(|span| span.end).max();
    // Behind the last one, or behind the heading.
    let at = line_end(text, last.or_else(|| Some(table.span()?.start)).ok_or_else(lost)?)?;
    let prefix = if table.is_dotted() { "bookmarks." } else { "" };
    let ending = ending(text);
    let first = if at > 0 && !text[..at].ends_with('\n') { ending } else { "" };
    Ok((at..at, format!("{first}{prefix}{key} = {value}{ending}")))
}

/// A table of its own at the end.
fn section(text: &str, key: &str, value: &str) -> String {
    let ending = ending(text);
    let gap = match text {
        "" => String::new(),
        text if text.ends_with('\n') => ending.to_owned(),
        _ => ending.repeat(2),
    };
    format!("{gap}[bookmarks]{ending}{key} = {value}{ending}")
}

/// The file's line ending.
fn ending(text: &str) -> &'static str {
    if text.split_once('\n').is_some_and(|(line, _)| line.ends_with('\r')) { "\r\n" } else { "\n" }
}

fn line_start(text: &str, at: usize) -> anyhow::Result<usize> {
    Ok(part(text, 0..at)?.rfind('\n').map_or(0, |end| end + 1))
}

fn line_end(text: &str, at: usize) -> anyhow::Result<usize> {
    Ok(part(text, at..text.len())?.find('\n').map_or(text.len(), |end| at + end + 1))
}

fn part(text: &str, range: Range<usize>) -> anyhow::Result<&str> {
    text.get(range).ok_or_else(lost)
}

fn lost() -> anyhow::Error {
    anyhow::anyhow!("bookmarks: cannot be found in the text")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text, a bookmark's name and its target, the text with it.
    const EDITS: &[(&str, &str, Option<&str>, &str)] = &[
        ("", "a", Some("x"), "[bookmarks]\na = \"x\"\n"),
        ("# mine\njobs = 2\n", "a", Some("x"), "# mine\njobs = 2\n\n[bookmarks]\na = \"x\"\n"),
        ("jobs = 2", "a", Some("x"), "jobs = 2\n\n[bookmarks]\na = \"x\"\n"),
        (
            "[bookmarks]\nb = \"y\" # old\n\n[x]\na = 1\n",
            "a",
            Some("z"),
            "[bookmarks]\nb = \"y\" # old\na = \"z\"\n\n[x]\na = 1\n",
        ),
        (
            "[bookmarks]\n# c\n\"a\" = \"y\"\nb = 'z'\n",
            "a",
            Some("x"),
            "[bookmarks]\n# c\n\"a\" = \"x\"\nb = 'z'\n",
        ),
        ("[bookmarks]\na = \"y\" # one\nb = \"z\"\n", "a", None, "[bookmarks]\nb = \"z\"\n"),
        ("[bookmarks]\n# about a\n  a = \"y\"\n", "a", None, "[bookmarks]\n# about a\n"),
        ("[bookmarks]\na = \"y\"", "a", None, "[bookmarks]\n"),
        ("[bookmarks]\na = \"y\"", "b", Some("z"), "[bookmarks]\na = \"y\"\nb = \"z\"\n"),
        ("jobs = 2\n", "a", None, "jobs = 2\n"),
        ("[bookmarks]\nb = \"y\"\n", "a", None, "[bookmarks]\nb = \"y\"\n"),
        (
            "[bookmarks] # mine\na = \"/tmp\"\n",
            "b",
            Some("x"),
            "[bookmarks] # mine\na = \"/tmp\"\nb = \"x\"\n",
        ),
        ("[bookmarks] # mine\n\n[x]\n", "b", Some("x"), "[bookmarks] # mine\nb = \"x\"\n\n[x]\n"),
        ("[ \"bookmarks\" ]\na = '/tmp'\n", "a", Some("x"), "[ \"bookmarks\" ]\na = \"x\"\n"),
        ("jobs = 1\n[bookmarks]", "b", Some("x"), "jobs = 1\n[bookmarks]\nb = \"x\"\n"),
        (
            "bookmarks.a = \"/tmp\"\njobs = 2\n",
            "b",
            Some("x"),
            "bookmarks.a = \"/tmp\"\nbookmarks.b = \"x\"\njobs = 2\n",
        ),
        ("bookmarks.a = \"/tmp\"\njobs = 2\n", "a", None, "jobs = 2\n"),
        (
            "bookmarks = { a = \"/tmp\" } # c\njobs = 2\n",
            "b",
            Some("x"),
            "bookmarks = { a = \"/tmp\", b = \"x\" } # c\njobs = 2\n",
        ),
        ("bookmarks = {}\n", "b", Some("x"), "bookmarks = { b = \"x\" }\n"),
        ("bookmarks = { a = \"y\", b = \"z\" }\n", "a", None, "bookmarks = { b = \"z\" }\n"),
        ("\u{feff}[bookmarks]\na = \"y\"\n", "b", Some("x"), "\u{feff}[bookmarks]\na = \"y\"\nb = \"x\"\n"),
        (
            "jobs = 2\r\n[bookmarks]\r\na = \"y\"\r\n",
            "b",
            Some("x"),
            "jobs = 2\r\n[bookmarks]\r\na = \"y\"\r\nb = \"x\"\r\n",
        ),
        ("jobs = 2\r\n", "b", Some("x"), "jobs = 2\r\n\r\n[bookmarks]\r\nb = \"x\"\r\n"),
        (
            "a = 1\r\nb = 2\n[bookmarks]\nx = \"y\"\r\n",
            "x",
            Some("z"),
            "a = 1\r\nb = 2\n[bookmarks]\nx = \"z\"\r\n",
        ),
        (
            "[bookmarks]\na = \"\"\"\nb = \"no\"\n\"\"\"\n",
            "b",
            Some("x"),
            "[bookmarks]\na = \"\"\"\nb = \"no\"\n\"\"\"\nb = \"x\"\n",
        ),
        (
            "s = '''\n[bookmarks]\n'''\n",
            "b",
            Some("x"),
            "s = '''\n[bookmarks]\n'''\n\n[bookmarks]\nb = \"x\"\n",
        ),
        ("", "größe", Some("x"), "[bookmarks]\n\"größe\" = \"x\"\n"),
    ];

    #[test]
    fn a_bookmark_is_written_and_every_other_byte_stays() {
        for (text, name, target, expected) in EDITS.iter().copied() {
            let edited = with_bookmark(text, name, target).unwrap();
            assert_eq!(edited, expected, "{text:?}");
            if let Some(target) = target {
                let read = Document::parse(edited.strip_prefix(MARK).unwrap_or(&edited)).unwrap();
                assert_eq!(read["bookmarks"][name].as_str(), Some(target), "{edited:?}");
            }
        }
        for text in ["jobs = ", "bookmarks = 3\n", "[[bookmarks]]\na = \"x\"\n"] {
            assert!(with_bookmark(text, "a", Some("x")).is_err(), "{text:?}");
        }
    }
}
