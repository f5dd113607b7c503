//! The hosts that ssh's own configuration names, as offers for what is typed. Nothing is decided by it: ssh reads its configuration
//! itself.

use std::path::{Path, PathBuf};

use globset::Glob;

/// Files that include others, one within the other.
const DEPTH_MAX: usize = 8;
/// Hosts that are offered.
const HOSTS_MAX: usize = 1_000;
/// Of one file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What one file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parsed {
    hosts: Vec<String>,
    includes: Vec<String>,
}

/// The names behind `Host`, without patterns, in their order, each once. A file that cannot be read names none. Blocks.
pub fn ssh_hosts(home: &Path) -> Vec<String> {
    let folder = home.join(".ssh");
    let mut hosts = Vec::new();
    read_into(&mut hosts, &folder.join("config"), &folder, DEPTH_MAX);
    hosts
}

fn read_into(hosts: &mut Vec<String>, path: &Path, folder: &Path, depth: usize) {
    let Some(text) = read(path) else { return };
    let parsed = parse(&text);
    for host in parsed.hosts {
        if hosts.len() < HOSTS_MAX && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if depth > 0 {
        for path in parsed.includes.iter().flat_map(|pattern| included(pattern, folder)) {
            read_into(hosts, &path, folder, depth - 1);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "ssh's own configuration, read where ssh reads it")]
fn read(path: &Path) -> Option<String> {
    // A fifo would hold us up.
    let there = std::fs::metadata(path).ok()?;
    if !there.is_file() || there.len() > FILE_BYTES_MAX {
        return None;
    }
    std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The files that `Include` means: below `~/.ssh` where the path is relative, with patterns in its last part.
#[allow(clippy::disallowed_methods, reason = "ssh's own configuration, read where ssh reads it")]
fn included(pattern: &str, folder: &Path) -> Vec<PathBuf> {
    let home = folder.parent().unwrap_or(folder);
    let path = match pattern.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => folder.join(pattern),
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    if !name.contains(['*', '?', '[']) {
        return vec![path];
    }
    let Ok(glob) = Glob::new(name).map(|glob| glob.compile_matcher()) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| glob.is_match(entry.file_name()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines() {
        let line = line.trim();
        let Some(end) = line.find(|c: char| c.is_whitespace() || c == '=') else { continue };
        let (key, rest) =
            (line[..end].to_ascii_lowercase(), line[end..].trim_start_matches(['=', ' ', '\t']));
        let words = rest.split_whitespace().take_while(|word| !word.starts_with('#'));
        let words = words.map(|word| word.trim_matches('"').to_owned());
        match key.as_str() {
            "host" => parsed.hosts.extend(words.filter(|word| is_name(word))),
            "include" => parsed.includes.extend(words),
            _ => {}
        }
    }
    parsed
}

/// Not a pattern, nor anything that would not be a host behind `ssh://`.
fn is_name(word: &str) -> bool {
    !word.starts_with('-')
        && !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_the_words_behind_host_that_are_no_patterns() {
        let text = "# Host no\nHost box  web-1 *.example !old\n  HostName x\nhost=\"quoted\"\nHost * # all\nInclude a b/*\nMatch host y\n";
        let parsed = parse(text);
        assert_eq!(parsed.hosts, ["box", "web-1", "quoted"]);
        assert_eq!(parsed.includes, ["a", "b/*"]);
    }

    #[test]
    fn included_files_are_read_and_one_that_includes_itself_ends() {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        std::fs::create_dir_all(ssh.join("more")).unwrap();
        std::fs::write(ssh.join("config"), "Include more/* ~/.ssh/last gone\nHost first\n").unwrap();
        std::fs::write(ssh.join("more/b"), "Host b first\n").unwrap();
        std::fs::write(ssh.join("more/a"), "Host a\nInclude config\n").unwrap();
        std::fs::write(ssh.join("last"), "Host last\n").unwrap();
        assert_eq!(ssh_hosts(home.path()), ["first", "a", "b", "last"]);
        assert_eq!(ssh_hosts(Path::new("/nowhere")), [""; 0]);
    }
}
