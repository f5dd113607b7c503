//! Tests that cannot run on this machine. libtest can ignore none once it runs and shows nothing of one that passes, so the names and
//! reasons are listed behind its result: by a shell, which waits for the end of this process.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const LISTS: &str = r#"list=$(cat); printf '\nignored, since this machine cannot run them (README names what they need):\n%s\n\n' "$list" >&2"#;

static LIST: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Notes that the running test, or a part of it, is left out.
pub(crate) fn skip(reason: &str) {
    let mut list = LIST.lock().unwrap_or_else(PoisonError::into_inner);
    let list = list.get_or_insert_with(|| {
        let shell =
            Command::new("sh").args(["-c", LISTS]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        shell.unwrap().stdin.take().unwrap()
    });
    let thread = std::thread::current();
    writeln!(list, "    {}: {reason}", thread.name().unwrap_or("?")).unwrap();
}
