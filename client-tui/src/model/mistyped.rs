//! Operands that look remote and are no TARGET: `user@host:/p`, `box:photos`, `127.0.0.1:7171/x`, `tow:/box/x`. Taken for a local
//! name, each would put a copy in an unexpected place. Pure: the caller looks up whether such a path exists.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use towpath_protocol::display::DisplayName;

use super::target::Target;

/// An operand that looks remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistyped {
    /// Its first name. A local file or folder of this name makes the operand a local path after all.
    pub first: Vec<u8>,
    typed: String,
    /// The TARGET that was probably meant.
    form: String,
    /// A word that might have been a bookmark's.
    bookmark: Option<String>,
}

impl Mistyped {
    /// Returns `None` for a TARGET, and for what can only be a local path: no `:` before the first `/`, and no `user@host/`.
    pub fn of(typed: &[u8]) -> Option<Self> {
        if !matches!(Target::parse(OsStr::from_bytes(typed)), Ok(Target::Local(_))) {
            return None;
        }
        let end = typed.iter().position(|byte| *byte == b'/').unwrap_or(typed.len());
        let (first, path) = typed.split_at(end);
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
        if first.is_empty() || first.iter().any(is_blank) {
            return None;
        }
        let (form, bookmark) = meant(first, path)?;
        let typed = DisplayName::new(typed).to_string();
        Some(Self { first: first.to_vec(), typed, form, bookmark })
    }

    /// The TARGET that was probably meant.
    pub fn form(&self) -> &str {
        &self.form
    }

    /// `WHAT: WHY; what to do`.
    pub fn message(&self) -> String {
        let Self { typed, form, bookmark, .. } = self;
        let why = match bookmark {
            Some(name) => format!("no such local path, and no bookmark '{name}'"),
            None => "no such local path, and not a TARGET".to_owned(),
        };
        format!("{typed}: {why}; write {form}, or ./{typed} for the local path")
    }
}

/// The right form of `first` + `path`, where `first` is no local name; and the word that might be a bookmark's.
fn meant(first: &[u8], path: &[u8]) -> Option<(String, Option<String>)> {
    let shown = |bytes: &[u8]| DisplayName::new(bytes).to_string();
    let (user, rest) = match first.iter().rposition(|byte| *byte == b'@') {
        Some(0) => return None,
        // A password is not repeated.
        Some(at) => (first[..at].split(|byte| *byte == b':').next(), &first[at + 1..]),
        None => (None, first),
    };
    let (host, behind) = match split_host(rest) {
        Some((host, behind)) => (host, Some(behind)),
        None => (rest, None),
    };
    let scheme = user.is_none().then(|| host.to_ascii_lowercase());
    match (scheme.as_deref(), behind) {
        // `tow:box/x`, `tow:/box/x`, `tow//box/x`.
        (Some(scheme @ (b"tow" | b"ssh")), behind) if behind.is_some() || path.starts_with(b"//") => {
            let whole = [behind.unwrap_or_default(), path].concat();
            let slashes = whole.iter().take_while(|byte| **byte == b'/').count();
            let rest = if slashes == whole.len() { "HOST/".to_owned() } else { shown(&whole[slashes..]) };
            Some((format!("{}://{rest}", shown(scheme)), None))
        }
        (_, None) => {
            // `user@host/p`: a user's name on its own is an ordinary part of a name.
            let user = user.filter(|_| !path.is_empty() && !host.is_empty())?;
            Some((format!("ssh://{}@{}{}", shown(user), shown(host), shown(path)), None))
        }
        (_, Some(behind)) => {
            let host = if host.is_empty() { "HOST".to_owned() } else { shown(host) };
            let is_port = !behind.is_empty() && behind.iter().all(u8::is_ascii_digit);
            let rest = shown(&[behind, path].concat());
            Some(match (user, is_port) {
                (None, true) => (format!("tow://{host}:{}{}", shown(behind), rooted(path)), None),
                (Some(user), true) => {
                    (format!("ssh://{}@{host}:{}{}", shown(user), shown(behind), rooted(path)), None)
                }
                (Some(user), false) => (format!("ssh://{}@{host}{}", shown(user), at_home(&rest)), None),
                (None, false) => (
                    format!("ssh://{host}{} or tow://{host}{}", at_home(&rest), rooted(rest.as_bytes())),
                    Some(host),
                ),
            })
        }
    }
}

/// The host and what stands behind its `:`; an IPv6 address stands in brackets.
fn split_host(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let from = match rest.first() {
        Some(b'[') => rest.iter().position(|byte| *byte == b']')?,
        _ => 0,
    };
    let colon = from + rest[from..].iter().position(|byte| *byte == b':')?;
    Some((&rest[..colon], &rest[colon + 1..]))
}

/// scp reads a relative path from the home folder.
fn at_home(path: &str) -> String {
    match path {
        "" => "/".to_owned(),
        _ if path.starts_with('/') => path.to_owned(),
        _ if path.starts_with('~') => format!("/{path}"),
        _ => format!("/~/{path}"),
    }
}

fn rooted(path: &[u8]) -> String {
    let shown = DisplayName::new(path).to_string();
    if shown.starts_with('/') { shown } else { format!("/{shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_remote_is_told_the_form_to_write() {
        for (typed, form) in [
            ("user@host:/p", "ssh://user@host/p"),
            ("user@host:p/q", "ssh://user@host/~/p/q"),
            ("user@host:~/p", "ssh://user@host/~/p"),
            ("user@host:", "ssh://user@host/"),
            ("user@host:2222/p", "ssh://user@host:2222/p"),
            ("user@host/p", "ssh://user@host/p"),
            ("ann@corp@host:/p", "ssh://ann@corp@host/p"),
            ("ann:secret@host:/p", "ssh://ann@host/p"),
            ("user@[::1]:/p", "ssh://user@[::1]/p"),
            ("box:photos", "ssh://box/~/photos or tow://box/photos"),
            ("box:/photos", "ssh://box/photos or tow://box/photos"),
            ("box:", "ssh://box/ or tow://box/"),
            ("127.0.0.1:7171/x", "tow://127.0.0.1:7171/x"),
            ("[::1]:7171", "tow://[::1]:7171/"),
            ("tow:/host/x", "tow://host/x"),
            ("tow:host/x", "tow://host/x"),
            ("TOW:/host/x", "tow://host/x"),
            ("ssh:host:x", "ssh://host:x"),
            ("tow//host/x", "tow://host/x"),
            ("tow:", "tow://HOST/"),
        ] {
            let found = Mistyped::of(typed.as_bytes()).unwrap_or_else(|| panic!("{typed}"));
            assert_eq!(found.form, form, "{typed}");
            let message = found.message();
            assert!(message.contains(&format!("write {form}, or ./{typed} ")), "{message}");
        }
    }

    #[test]
    fn what_can_only_be_local_is_left_alone() {
        for typed in [
            "",
            "a",
            "/a:b",
            "./a:b",
            "../a:b",
            "dir/a:b",
            "a@b",
            "@scope/x",
            "a b: c",
            "a/b@c/d",
            "~/x:y",
            "tow",
            "tow/x",
            "ssh/x",
            "tow://box/x",
            "ssh://ann@box/x",
            "unix:/run/t",
        ] {
            assert_eq!(Mistyped::of(typed.as_bytes()), None, "{typed}");
        }
    }
}
