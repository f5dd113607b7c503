//! Job control: can this process be continued if it stops?

use rustix::process::{getpgrp, getpid, getsid};

/// A process as `/proc` tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    id: i32,
    parent: i32,
    group: i32,
    session: i32,
    is_dead: bool,
}

/// Returns whether the kernel would let a `SIGTSTP` stop this process: not if its process group is orphaned, which means that no shell with job
/// control looks after it. `SIGSTOP` stops such a process too, and then no shell continues it.
pub(super) fn can_be_continued() -> bool {
    let Ok(session) = getsid(None) else { return false };
    // Where `/proc` is hidden, the leader of a session at least is known to have none.
    processes().map_or_else(
        || session != getpid(),
        |processes| is_looked_after(&processes, getpgrp().as_raw_pid(), session.as_raw_pid()),
    )
}

/// A group is looked after if one of its processes has a parent in the same session and outside the group.
fn is_looked_after(processes: &[Process], group: i32, session: i32) -> bool {
    processes.iter().filter(|process| process.group == group && !process.is_dead).any(|process| {
        let parent = processes.iter().find(|parent| parent.id == process.parent);
        parent.is_some_and(|parent| parent.session == session && parent.group != group)
    })
}

#[allow(clippy::disallowed_methods, reason = "the system's own list of processes")]
fn processes() -> Option<Vec<Process>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let processes: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            path.file_name()?.to_str()?.parse::<i32>().ok()?;
            parsed(&std::fs::read_to_string(path.join("stat")).ok()?)
        })
        .collect();
    // Only if this process is among them do the others tell anything.
    processes.iter().any(|process| process.id == getpid().as_raw_pid()).then_some(processes)
}

/// `id (name) state parent group session …`; the name may hold anything.
fn parsed(stat: &str) -> Option<Process> {
    let (id, rest) = stat.split_once(" (")?;
    let mut fields = rest.rsplit_once(") ")?.1.split(' ');
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let mut number = || fields.next()?.parse().ok();
    Some(Process { id: id.parse().ok()?, parent: number()?, group: number()?, session: number()?, is_dead })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, parent: i32, group: i32, session: i32) -> Process {
        Process { id, parent, group, session, is_dead: false }
    }

    #[test]
    fn a_group_is_looked_after_by_a_parent_in_its_session_and_outside_of_it() {
        // A terminal (1), a shell with job control (10), its job of a script (20) and what the script runs (21).
        let shell =
            [process(1, 0, 1, 1), process(10, 1, 10, 10), process(20, 10, 20, 10), process(21, 20, 20, 10)];
        assert!(is_looked_after(&shell, 20, 10));
        // The shell itself, and `sh -c` as the terminal's program: its parent is in another session.
        assert!(!is_looked_after(&shell, 10, 10));
        let script = [process(1, 0, 1, 1), process(10, 1, 10, 10), process(11, 10, 10, 10)];
        assert!(!is_looked_after(&script, 10, 10));
        // The shell is gone, and one that is dead counts for nothing.
        assert!(!is_looked_after(&[process(1, 0, 1, 1), process(21, 1, 20, 10)], 20, 10));
        let dead = Process { is_dead: true, ..process(20, 10, 20, 10) };
        let left = [process(1, 0, 1, 1), process(10, 1, 10, 10), dead, process(21, 1, 20, 10)];
        assert!(!is_looked_after(&left, 20, 10));
    }

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let parsed = parsed("21 (a) b (c) d) S 20 20 10 34816 20 4194304").unwrap();
        assert_eq!(parsed, process(21, 20, 20, 10));
        assert!(super::parsed("21 (a) Z 20 20 10 0").unwrap().is_dead);
        assert_eq!(super::parsed("21 (a"), None);
        assert_eq!(super::parsed(""), None);
    }
}
