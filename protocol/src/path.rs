//! Paths as they travel: arrays of names, each a byte string. There is no separator to smuggle and nothing to normalise
//! twice. A [`Name`] or [`WirePath`] that exists has been checked, and is trusted from then on.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::display::DisplayName;
use crate::fault::{Fault, FaultCode};
use crate::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX};

/// Why bytes are not a [`Name`] or names are not a [`WirePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("a name is empty")]
    Empty,
    #[error("a name is '.' or '..'")]
    Dots,
    #[error("a name contains '/' or a NUL byte")]
    Separator,
    #[error("name too long: {0} of {NAME_BYTES_MAX} bytes")]
    NameTooLong(usize),
    #[error("path too long: {0} of {PATH_BYTES_MAX} bytes")]
    PathTooLong(usize),
    #[error("path too deep: {0} of {PATH_COMPONENTS_MAX} names")]
    TooDeep(usize),
}

/// The detail is what the words of the code do not say already.
impl From<PathError> for Fault {
    fn from(error: PathError) -> Self {
        let words = error.to_string();
        let detail = words.strip_prefix("name too long: ").unwrap_or(&words);
        Self::new(FaultCode::NameTooLong).because(detail)
    }
}

/// The name of one file or folder: 1 to 255 bytes, not `.` or `..`, without `/` and NUL. Not necessarily UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks `bytes`.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        check_name(&bytes)?;
        Ok(Self(bytes))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name with everything escaped that a terminal or a log must not see raw.
    pub fn display(&self) -> DisplayName<'_> {
        DisplayName::new(&self.0)
    }

    pub fn is_hidden(&self) -> bool {
        self.0.first() == Some(&b'.')
    }
}

fn check_name(bytes: &[u8]) -> Result<(), PathError> {
    match bytes {
        [] => Err(PathError::Empty),
        b"." | b".." => Err(PathError::Dots),
        _ if bytes.len() > NAME_BYTES_MAX => Err(PathError::NameTooLong(bytes.len())),
        _ if bytes.iter().any(|b| matches!(b, b'/' | 0)) => Err(PathError::Separator),
        _ => Ok(()),
    }
}

impl TryFrom<&str> for Name {
    type Error = PathError;
    fn try_from(text: &str) -> Result<Self, PathError> {
        Self::new(text.as_bytes())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.display().to_string())
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&serde_bytes::Bytes>::deserialize(deserializer)?;
        Self::new(&**bytes).map_err(serde::de::Error::custom)
    }
}

/// A path below a root: at most 128 names and 4,096 bytes. The empty path is the root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WirePath(Vec<Name>);

impl WirePath {
    /// The root itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    pub fn new(names: Vec<Name>) -> Result<Self, PathError> {
        if names.len() > PATH_COMPONENTS_MAX {
            return Err(PathError::TooDeep(names.len()));
        }
        let bytes = names.iter().map(|name| name.0.len() + 1).sum::<usize>();
        if bytes > PATH_BYTES_MAX {
            return Err(PathError::PathTooLong(bytes));
        }
        Ok(Self(names))
    }

    /// Splits `bytes` at `/`; empty components and `.` vanish as they do in POSIX; `..` is refused, since only the file
    /// system knows what it means behind a symbolic link.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        let names = bytes
            .split(|b| *b == b'/')
            .filter(|part| !part.is_empty() && *part != b".")
            .map(Name::new)
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(names)
    }

    pub fn names(&self) -> &[Name] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its last name; none for the root.
    pub fn name(&self) -> Option<&Name> {
        self.0.last()
    }

    /// The folder that holds it; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        Some(Self(parents.to_vec()))
    }

    pub fn join(&self, name: &Name) -> Result<Self, PathError> {
        let mut names = self.0.clone();
        names.push(name.clone());
        Self::new(names)
    }

    pub fn join_path(&self, path: &Self) -> Result<Self, PathError> {
        let mut names = self.0.clone();
        names.extend_from_slice(&path.0);
        Self::new(names)
    }

    /// Whether it is `other` or lies below it, by whole components.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Joined by `/`, escaped for people; the root is the empty text.
    pub fn display(&self) -> String {
        let mut text = String::new();
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                text.push('/');
            }
            text.push_str(&name.display().to_string());
        }
        text
    }

    /// Joined by `/` as raw bytes, for a system call or a user's own text; the root is empty.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().map(Name::as_bytes).collect::<Vec<_>>().join(&b'/')
    }
}

impl fmt::Debug for WirePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.display())
    }
}

impl Serialize for WirePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WirePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = crate::wire::bounded::<_, _, PATH_COMPONENTS_MAX>(deserializer)?;
        Self::new(names).map_err(serde::de::Error::custom)
    }
}

/// Where something is: `base` is the folder (or thing) a person pointed at, and symbolic links in it resolve as the
/// root's kind allows; in `path`, below it, no symbolic link is ever followed, by either side. So a hostile source that
/// plants a link in a tree cannot have anything written or read through it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    pub base: WirePath,
    pub path: WirePath,
}

impl Location {
    /// The thing itself that `path` names: its parent's links resolve, its own do not.
    pub fn of(path: &WirePath) -> Self {
        match (path.parent(), path.name()) {
            (Some(base), Some(name)) => Self { base, path: WirePath(vec![name.clone()]) },
            _ => Self { base: WirePath::root(), path: WirePath::root() },
        }
    }

    /// What `path` leads to: all its links resolve.
    pub fn through(path: &WirePath) -> Self {
        Self { base: path.clone(), path: WirePath::root() }
    }

    pub fn join(&self, name: &Name) -> Result<Self, PathError> {
        Ok(Self { base: self.base.clone(), path: self.path.join(name)? })
    }

    /// Base and path in one.
    pub fn whole(&self) -> Result<WirePath, PathError> {
        self.base.join_path(&self.path)
    }

    /// Base and path joined by `/`, escaped for people.
    pub fn display(&self) -> String {
        let (base, path) = (self.base.display(), self.path.display());
        if base.is_empty() || path.is_empty() { base + &path } else { format!("{base}/{path}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_error(bytes: &[u8]) -> Option<PathError> {
        Name::new(bytes).err()
    }

    /// As a peer would send it.
    fn decoded(names: &[&[u8]]) -> Option<WirePath> {
        let names: Vec<_> = names.iter().map(|name| serde_bytes::Bytes::new(name)).collect();
        rmp_serde::from_slice(&rmp_serde::to_vec(&names).unwrap()).ok()
    }

    #[test]
    fn what_is_not_one_component_is_no_name() {
        let cases: &[(&[u8], PathError)] = &[
            (b"", PathError::Empty),
            (b".", PathError::Dots),
            (b"..", PathError::Dots),
            (b"/", PathError::Separator),
            (b"a/b", PathError::Separator),
            (b"/etc", PathError::Separator),
            (b"../x", PathError::Separator),
            (b"link/", PathError::Separator),
            (b"link/.", PathError::Separator),
            (b"link//x", PathError::Separator),
            (b"a\0", PathError::Separator),
            (b"\0", PathError::Separator),
            (&[b'x'; 256], PathError::NameTooLong(256)),
        ];
        for (bytes, error) in cases {
            assert_eq!(name_error(bytes), Some(*error), "{bytes:?}");
            assert_eq!(decoded(&[b"ok", bytes]), None, "from a peer: {bytes:?}");
        }
    }

    #[test]
    fn any_other_bytes_are_a_name_and_stay_as_they_are() {
        let names: &[&[u8]] = &[
            b"...",
            b". ",
            b" .",
            b"-rf",
            b"~",
            b"a\\..\\b",
            b"C:",
            b"CON",
            b"%2e%2e",
            b"%2F",
            b"a\nb",
            b"\xff\xfe",
            b"\xc0\xae\xc0\xae",
            b"\xe2\x80\xa5",
            "．．／".as_bytes(),
            "e\u{301}".as_bytes(),
            "é".as_bytes(),
            &[b'x'; 255],
        ];
        for bytes in names {
            assert_eq!(Name::new(*bytes).unwrap().as_bytes(), *bytes);
            assert_eq!(decoded(&[bytes]).unwrap().to_bytes(), *bytes);
        }
    }

    #[test]
    fn names_that_only_look_alike_are_different() {
        for (a, b) in [("README", "readme"), ("é", "e\u{301}"), ("a", "a "), ("a", "а")] {
            assert_ne!(Name::try_from(a), Name::try_from(b));
        }
    }

    #[test]
    fn paths_are_compared_by_whole_components() {
        let path = |text: &str| WirePath::parse(text.as_bytes()).unwrap();
        assert!(path("a/b").starts_with(&path("a")));
        assert!(path("a").starts_with(&path("a")));
        assert!(path("a").starts_with(&WirePath::root()));
        assert!(!path("ab").starts_with(&path("a")));
        assert!(!path("a").starts_with(&path("a/b")));
    }

    #[test]
    fn parsing_splits_at_slashes_and_refuses_to_climb() {
        let parsed = |text: &str| WirePath::parse(text.as_bytes()).map(|path| path.display());
        for (text, expected) in
            [("", ""), ("/", ""), (".", ""), ("//a/./b//", "a/b"), ("a\\b", "a\\b"), ("...", "...")]
        {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["..", "a/..", "a/../b", "/.."] {
            assert_eq!(parsed(text), Err(PathError::Dots), "{text}");
        }
        assert_eq!(parsed("a\0b"), Err(PathError::Separator));
    }

    #[test]
    fn paths_are_bounded_in_bytes_and_in_depth() {
        let (long, short): (&[u8], &[u8]) = (&[b'x'; 255], b"x");
        assert!(decoded(&[long; 16]).is_some(), "16 times 256 bytes are 4,096");
        assert_eq!(decoded(&[&[long; 16][..], &[b"y"]].concat()), None);
        assert!(decoded(&[short; 128]).is_some());
        assert_eq!(decoded(&[short; 129]), None);
        let deep = decoded(&[short; 128]).unwrap();
        assert_eq!(
            deep.join(&Name::try_from("y").unwrap()),
            Err(PathError::TooDeep(PATH_COMPONENTS_MAX + 1))
        );
        let wide = decoded(&[long; 16]).unwrap();
        assert_eq!(wide.join_path(&deep), Err(PathError::TooDeep(144)));
        assert_eq!(wide.join(&Name::try_from("y").unwrap()), Err(PathError::PathTooLong(4098)));
    }

    #[test]
    fn a_location_names_a_thing_or_what_it_leads_to() {
        let path = WirePath::parse(b"a/b").unwrap();
        assert_eq!(Location::of(&path).display(), "a/b");
        assert_eq!(
            (Location::of(&path).base.display(), Location::of(&path).path.display()),
            ("a".into(), "b".into())
        );
        assert_eq!(Location::through(&path), Location { base: path.clone(), path: WirePath::root() });
        assert_eq!(Location::of(&WirePath::root()), Location::through(&WirePath::root()));
        assert_eq!(Location::of(&path).whole(), Ok(path));
    }

    #[test]
    fn what_is_shown_of_a_path_is_safe() {
        let path = WirePath::parse(b"a\x1b[2J/\xff/b").unwrap();
        assert_eq!(path.display(), r"a\x1b[2J/\xff/b");
        assert_eq!(format!("{path:?}"), r#""a\\x1b[2J/\\xff/b""#);
    }
}
