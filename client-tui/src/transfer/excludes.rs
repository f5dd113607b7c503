//! Patterns that leave things out of a transfer, in gitignore's syntax without `!`. They apply in the order in which they were given,
//! and the first that matches decides. A list of names beside them leaves out all that it does not name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use towpath_protocol::path::{Name, WirePath};

use super::listed::{Listed, Part};

/// Decides what a pattern does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Exclude,
    Include,
}

/// A list of patterns. The default one is empty and leaves nothing out.
#[derive(Debug, Clone, Default)]
pub struct Excludes {
    globs: GlobSet,
    rules: Vec<Rule>,
    /// The folder that patterns are relative to; `None` if that is each item itself.
    folder: Option<WirePath>,
    /// What alone is copied; `None` if that is everything.
    listed: Option<Listed>,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    verdict: Verdict,
    folders_only: bool,
}

/// Why a pattern can match nothing, whatever a tree holds.
#[derive(Debug, thiserror::Error)]
pub enum PatternFault {
    #[error("an empty pattern matches nothing")]
    Empty,
    #[error("'!' has no meaning here; write \\! for a name that begins with it")]
    Negation,
    #[error("it matches nothing: patterns are relative to SOURCE; write {0}")]
    Dots(String),
    #[error("it matches nothing: no path holds //; write {0}")]
    DoubleSlash(String),
    #[error("[:{0}:] is no class of characters")]
    UnknownClass(String),
    #[error("{0}")]
    Glob(globset::ErrorKind),
}

impl Excludes {
    /// Takes patterns in their order. Err holds the pattern that can match nothing.
    pub fn new<'a>(
        patterns: impl IntoIterator<Item = (Verdict, &'a str)>,
    ) -> Result<Self, (String, PatternFault)> {
        let (mut globs, mut rules) = (GlobSetBuilder::new(), Vec::new());
        for (verdict, pattern) in patterns {
            let at = |fault| (pattern.to_owned(), fault);
            let (glob, folders_only) = translated(pattern).map_err(at)?;
            let glob = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
            globs.add(glob.map_err(|error| at(PatternFault::Glob(error.kind().clone())))?);
            rules.push(Rule { verdict, folders_only });
        }
        let globs =
            globs.build().map_err(|error| (String::new(), PatternFault::Glob(error.kind().clone())))?;
        Ok(Self { globs, rules, folder: None, listed: None })
    }

    /// The same, relative to a folder whose content is copied.
    #[must_use]
    pub fn relative_to(self, folder: WirePath) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The same, of what `listed` names.
    #[must_use]
    pub fn of_listed(self, listed: Option<Listed>) -> Self {
        Self { listed, ..self }
    }

    /// The same for one SOURCE, of which no name was met yet.
    #[must_use]
    pub fn of_source(self, source: &WirePath) -> Self {
        let listed = self.listed.as_ref().map(|listed| listed.of_source(source.clone()));
        Self { listed, ..self }
    }

    pub const fn listed(&self) -> Option<&Listed> {
        self.listed.as_ref()
    }

    /// Returns whether nothing of what is right below SOURCE under that name is in the list.
    pub fn are_without(&self, name: &Name) -> bool {
        let below = WirePath::root().join(name).unwrap_or_default();
        self.listed.as_ref().is_some_and(|listed| listed.part(&below) == Part::Out)
    }

    /// An item's path below the folder that patterns are relative to.
    pub(super) fn place_of(&self, item: &WirePath) -> WirePath {
        let folder = self.folder.as_ref().filter(|folder| item.starts_with(folder));
        let names = folder.map_or(&[][..], |folder| &item.names()[folder.names().len()..]);
        WirePath::new(names.to_vec()).unwrap_or_default()
    }

    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.listed.is_none()
    }

    /// Returns whether patterns leave something out, by its path below SOURCE. SOURCE itself never is.
    pub fn leave_out(&self, below: &WirePath, is_folder: bool) -> bool {
        if self.rules.is_empty() || below.is_root() {
            return false;
        }
        let matching = self.globs.matches(OsStr::from_bytes(&below.to_bytes()));
        let mut rules = matching.into_iter().map(|index| self.rules[index]);
        let first = rules.find(|rule| is_folder || !rule.folders_only);
        first.is_some_and(|rule| rule.verdict == Verdict::Exclude)
    }
}

/// The pattern as `globset` has it, for a whole path; and whether it is for folders only.
fn translated(pattern: &str) -> Result<(String, bool), PatternFault> {
    if pattern.starts_with('!') {
        return Err(PatternFault::Negation);
    }
    let (pattern, folders_only) = match pattern.strip_suffix('/') {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let is_anchored = pattern.contains('/');
    let names: Vec<&str> = pattern.strip_prefix('/').unwrap_or(pattern).split('/').collect();
    if names.iter().all(|name| name.is_empty()) {
        return Err(PatternFault::Empty);
    }
    let begins_at_source =
        pattern.starts_with('/') || names.first().is_some_and(|name| matches!(*name, "." | ".."));
    let better = |kept: Vec<&str>| {
        let begin = if begins_at_source || kept.len() > 1 { "/" } else { "" };
        format!("{begin}{}{}", kept.join("/"), if folders_only { "/" } else { "" })
    };
    let without = |odd: &[&str]| names.iter().copied().filter(|name| !odd.contains(name)).collect::<Vec<_>>();
    if names.iter().any(|name| matches!(*name, "." | "..")) {
        return Err(match without(&["", ".", ".."]) {
            names if names.is_empty() => PatternFault::Empty,
            names => PatternFault::Dots(better(names)),
        });
    }
    if names.contains(&"") {
        return Err(PatternFault::DoubleSlash(better(without(&[""]))));
    }
    let names: Vec<String> = names.into_iter().map(of_name).collect::<Result<_, _>>()?;
    let begin = if is_anchored { "" } else { "**/" };
    Ok((format!("{begin}{}", names.join("/")), folders_only))
}

/// One name of a pattern. Braces are ordinary characters in gitignore; stars beside something else never match a `/`.
fn of_name(name: &str) -> Result<String, PatternFault> {
    if name.len() > 1 && name.bytes().all(|byte| byte == b'*') {
        return Ok("**".to_owned());
    }
    let mut glob = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                glob.push(c);
                glob.extend(rest.next());
            }
            '{' | '}' | ',' => glob.extend(['\\', c]),
            '*' => {
                while rest.next_if_eq(&'*').is_some() {}
                glob.push(c);
            }
            '[' => of_class(&mut rest, &mut glob)?,
            _ => glob.push(c),
        }
    }
    Ok(glob)
}

/// Expands a bracket expression with POSIX classes.
fn of_class(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    glob: &mut String,
) -> Result<(), PatternFault> {
    glob.push('[');
    glob.extend(rest.next_if(|c| matches!(c, '!' | '^')));
    glob.extend(rest.next_if_eq(&']'));
    while let Some(c) = rest.next() {
        match c {
            ']' => {
                glob.push(c);
                return Ok(());
            }
            '[' if rest.next_if_eq(&':').is_some() => {
                let mut name = String::new();
                while let Some(c) = rest.next_if(char::is_ascii_alphabetic) {
                    name.push(c);
                }
                let is_closed = rest.next_if_eq(&':').is_some() && rest.next_if_eq(&']').is_some();
                match ranges(&name).filter(|_| is_closed) {
                    Some(ranges) => glob.push_str(ranges),
                    None => return Err(PatternFault::UnknownClass(name)),
                }
            }
            _ => glob.push(c),
        }
    }
    // Without its end; globset says so.
    Ok(())
}

fn ranges(class: &str) -> Option<&'static str> {
    Some(match class {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "digit" => "0-9",
        "lower" => "a-z",
        "upper" => "A-Z",
        "xdigit" => "0-9A-Fa-f",
        "space" => " \t\n\r\u{b}\u{c}",
        "blank" => " \t",
        "punct" => "!-.:-@[-`{-~",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(patterns: &[&str]) -> Excludes {
        Excludes::new(patterns.iter().map(|pattern| (Verdict::Exclude, *pattern))).unwrap()
    }

    /// `a/b/` is a folder.
    fn is_out(excludes: &Excludes, path: &str) -> bool {
        excludes.leave_out(&WirePath::parse(path.as_bytes()).unwrap(), path.ends_with('/'))
    }

    /// Cases checked with `git check-ignore`.
    #[test]
    fn patterns_mean_what_gitignore_says() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (".git/", &[".git/", "a/.git/"], &[".git", "a/.git", ".gitignore", "x.git/"]),
            ("*.o", &["a.o", "a/b.o", ".o", "d.o/"], &["a.oo", "o"]),
            ("/x", &["x", "x/"], &["a/x", "xx"]),
            ("a/b", &["a/b", "a/b/"], &["c/a/b", "b"]),
            ("/a/b/", &["a/b/"], &["a/b"]),
            ("**/b", &["b", "a/b", "a/c/b"], &["ab"]),
            ("**/b/", &["b/", "a/b/"], &["b"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "a/", "b/a"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a/xb", "ab"]),
            ("a/*/b", &["a/x/b"], &["a/b", "a/x/y/b"]),
            ("a**b", &["ab", "axb", "c/axxb"], &["a/b"]),
            ("*", &["a", ".a", "a/"], &[]),
            ("?", &["a"], &["ab", "é"]),
            ("[ab]?", &["ax", "b1"], &["cx"]),
            ("[!ab]", &["c"], &["a"]),
            ("[[:digit:]]*", &["1", "9a"], &["a1"]),
            ("{a,b}", &["{a,b}"], &["a", "b"]),
            ("#x", &["#x"], &["x"]),
            ("\\!x", &["!x"], &["x"]),
            ("\\*", &["*"], &["a"]),
            (" x ", &[" x "], &["x"]),
        ];
        for (pattern, out, kept) in table {
            let excludes = excludes(&[pattern]);
            out.iter().for_each(|path| assert!(is_out(&excludes, path), "{pattern} leaves out {path}"));
            kept.iter().for_each(|path| assert!(!is_out(&excludes, path), "{pattern} keeps {path}"));
        }
    }

    #[test]
    fn the_first_that_matches_decides() {
        let patterns = [(Verdict::Include, "keep.o"), (Verdict::Exclude, "*.o"), (Verdict::Include, "x.o")];
        let excludes = Excludes::new(patterns).unwrap();
        assert!(!is_out(&excludes, "a/keep.o") && is_out(&excludes, "x.o") && !is_out(&excludes, "x.c"));
        // One for folders only is passed over by a file.
        let excludes = Excludes::new([(Verdict::Include, "d/"), (Verdict::Exclude, "d")]).unwrap();
        assert!(is_out(&excludes, "d") && !is_out(&excludes, "d/"));
    }

    #[test]
    fn a_pattern_that_can_match_nothing_is_a_fault() {
        for (pattern, says) in [
            ("", "empty"),
            ("/", "empty"),
            ("//", "empty"),
            ("./", "empty"),
            ("./x", "write /x"),
            ("../x", "write /x"),
            ("a/./b/", "write /a/b/"),
            ("src//", "write src/"),
            ("a//b", "write /a/b"),
            ("!x", "\\!"),
            ("[", "class"),
            ("[z-a]", "range"),
            ("x\\", "\\"),
            ("[[:nope:]]", "nope"),
        ] {
            let (found, fault) = Excludes::new([(Verdict::Exclude, pattern)]).unwrap_err();
            assert!(found == pattern && fault.to_string().contains(says), "{pattern}: {fault}");
        }
    }
}
