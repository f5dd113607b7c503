//! Bookmarks: names for targets, `NAME[:PATH]` wherever a TARGET is typed. Pure text: where a target leads is others' business.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::target::Target;

/// Names and what they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookmarks(BTreeMap<String, String>);

impl Bookmarks {
    pub const fn new(bookmarks: BTreeMap<String, String>) -> Self {
        Self(bookmarks)
    }

    /// Names with their targets, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, target)| (name.as_str(), target.as_str()))
    }

    pub fn target(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A new target, or none any more.
    pub fn set(&mut self, name: &str, target: Option<&str>) {
        match target {
            Some(target) => drop(self.0.insert(name.to_owned(), target.to_owned())),
            None => drop(self.0.remove(name)),
        }
    }

    /// What was typed with its bookmark's target in the place of `NAME`. A PATH goes on from the target, or begins at its root where it
    /// begins with `/`. What names no bookmark stays as it is.
    pub fn expand(&self, typed: &OsStr) -> OsString {
        let bytes = typed.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
        let target = std::str::from_utf8(&bytes[..end]).ok().and_then(|name| self.target(name));
        let Some(target) = target else { return typed.to_owned() };
        match bytes.get(end + 1..) {
            None | Some([]) => OsString::from(target),
            Some(path) => below(target, path),
        }
    }

    /// As `expand`, of text.
    pub fn expanded(&self, typed: &str) -> String {
        self.expand(OsStr::new(typed)).to_string_lossy().into_owned()
    }
}

/// Whether a word can be a bookmark's name: letters, digits, `-` and `_`, and none of the words that begin targets.
pub fn is_name(word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    !word.is_empty()
        && !word.starts_with('-')
        && word.chars().all(is_part)
        && !matches!(word, "tow" | "ssh" | "unix")
}

/// A path on from a target, or from the root of its server. A target that is none stays as it is: whoever uses it says why.
fn below(target: &str, path: &[u8]) -> OsString {
    let Ok(mut joined) = Target::parse(OsStr::new(target)) else { return OsString::from(target) };
    match &mut joined {
        Target::Remote { path: base, .. } => match path.strip_prefix(b"/") {
            Some(rooted) => *base = rooted.to_vec(),
            None => append(base, path),
        },
        Target::Local(base) if path.starts_with(b"/") => *base = path.to_vec(),
        Target::Local(base) => append(base, path),
    }
    joined.to_os_string()
}

fn append(base: &mut Vec<u8>, path: &[u8]) {
    if !base.is_empty() && !base.ends_with(b"/") {
        base.push(b'/');
    }
    base.extend_from_slice(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_target_and_a_path_goes_on_from_there() {
        let table = [
            ("box", "tow://box:99/srv/"),
            ("sock", "unix:/run/t"),
            ("deep", "unix:/run/t?path=a"),
            ("home", "/home/me"),
            ("host", "ssh://ann@h"),
        ];
        let bookmarks =
            Bookmarks::new(table.iter().map(|(name, target)| ((*name).into(), (*target).into())).collect());
        for (typed, expected) in [
            ("box", "tow://box:99/srv/"),
            ("box:", "tow://box:99/srv/"),
            ("box:a/b", "tow://box:99/srv/a/b"),
            ("box:/a", "tow://box:99/a"),
            ("sock:a", "unix:/run/t?path=a"),
            ("deep:b", "unix:/run/t?path=a/b"),
            ("deep:/b", "unix:/run/t?path=b"),
            ("home:x", "/home/me/x"),
            ("home:/x", "/x"),
            ("host:~/x", "ssh://ann@h/~/x"),
            ("./box", "./box"),
            ("box/x", "box/x"),
            ("other:x", "other:x"),
            ("tow://box/x", "tow://box/x"),
        ] {
            assert_eq!(bookmarks.expanded(typed), expected, "{typed}");
        }
        let odd = OsStr::from_bytes(b"box:\xff");
        assert_eq!(bookmarks.expand(odd).as_bytes(), b"tow://box:99/srv/\xff");
    }

    #[test]
    fn a_name_is_no_path_and_begins_no_target() {
        for (word, is) in [
            ("box", true),
            ("b-1_x", true),
            ("büro", true),
            ("", false),
            ("-x", false),
            ("a.b", false),
            ("a/b", false),
            ("a:b", false),
            ("ssh", false),
        ] {
            assert_eq!(is_name(word), is, "{word}");
        }
    }
}
