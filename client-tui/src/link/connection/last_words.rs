//! What a program at the far end of a pipe says on its standard error: drained, so that it never blocks, and its last lines kept, to
//! tell why a connection ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::Fault;

const LINES_MAX: usize = 5;
const LINE_BYTES_MAX: u64 = 300;
/// How long the end of the words may come after the end of the answers.
const LATE_MAX: Duration = Duration::from_millis(500);

/// Cheap to clone; all clones hear the same words.
#[derive(Debug, Clone, Default)]
pub(in crate::link) struct LastWords {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Set once nothing more can come; `None` for a peer that has no such stream.
    ended: Option<CancellationToken>,
    /// Set once an ssh has told that the server let it in.
    let_in: CancellationToken,
    /// Set once the command there has told that it runs.
    runs: CancellationToken,
    /// The system and the processor that the command there told as it tried the copy of this program; `None` before, and if it went on
    /// to something else.
    copy: Arc<Mutex<Option<String>>>,
}

/// The line that a command of ours says on its standard error before anything else.
pub(in crate::link) const RUNS: &str = "tow-begins-here";
/// Begins the line that it says before it runs the copy of this program; the system's and the processor's names follow. Without them the
/// copy does not run.
pub(in crate::link) const TRIES_COPY: &str = "tow-tries-its-copy:";

/// Lines of ssh's log level VERBOSE that are not shown. The first of them tells that it was let in.
const OF_SSH: [&str; 3] = ["Authenticated to ", "Transferred: sent ", "Bytes per second: sent "];

impl LastWords {
    /// Of a peer that can say nothing beside its answers.
    pub(in crate::link) fn none() -> Self {
        Self::default()
    }

    /// Listens until the stream ends.
    pub(in crate::link) fn of(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        Self::heard(stream, false)
    }

    /// The same of an ssh that tells of its login.
    pub(in crate::link) fn of_ssh(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        Self::heard(stream, true)
    }

    fn heard(stream: impl AsyncRead + Unpin + Send + 'static, is_ssh: bool) -> Self {
        let ended = CancellationToken::new();
        let words = Self { ended: Some(ended.clone()), ..Self::default() };
        let heard = words.clone();
        tokio::spawn(async move {
            let _ended = ended.drop_guard();
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // A line without an end is cut; its rest counts as the next one.
            while matches!((&mut stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await, Ok(1..)) {
                let text = DisplayName::new(line.trim_ascii()).to_string();
                tracing::debug!(%text, "the server's program says");
                line.clear();
                heard.hear(text, is_ssh);
            }
        });
        words
    }

    fn hear(&self, text: String, is_ssh: bool) {
        if text == RUNS {
            self.runs.cancel();
            self.let_in.cancel();
        } else if let Some(system) = text.strip_prefix(TRIES_COPY) {
            let system = system.trim();
            let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
            *copy = (!system.is_empty()).then(|| system.to_owned());
        } else {
            match OF_SSH.iter().position(|begin| is_ssh && text.starts_with(begin)) {
                None => keep(&self.lines, text),
                Some(0) => self.let_in.cancel(),
                Some(_) => {}
            }
        }
    }

    /// Waits until ssh has told that the server let it in, or the command there runs.
    pub(in crate::link) async fn let_in(&self) {
        self.let_in.cancelled().await;
    }

    /// Returns whether the command there runs: the login shell has done its part.
    pub(in crate::link) fn runs(&self) -> bool {
        self.runs.is_cancelled()
    }

    pub(in crate::link) fn is_let_in(&self) -> bool {
        self.let_in.is_cancelled()
    }

    /// Returns the system and the processor of a host whose copy of this program was started last.
    pub(in crate::link) fn copy(&self) -> Option<String> {
        self.copy.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is a program that can say something.
    pub(in crate::link) const fn has_source(&self) -> bool {
        self.ended.is_some()
    }

    /// The last lines, once nothing more comes; empty where nothing was said.
    pub(in crate::link) async fn text(&self) -> String {
        if let Some(ended) = &self.ended {
            let _ = timeout(LATE_MAX, ended.cancelled()).await;
        }
        self.text_so_far()
    }

    /// The last lines that have come already.
    pub(in crate::link) fn text_so_far(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join(" / ")
    }

    /// The fault with the last words added.
    pub(super) async fn explain(&self, fault: Fault) -> Fault {
        let text = self.text().await;
        if text.is_empty() {
            return fault;
        }
        let detail = format!("{}; it said: {text}", fault.detail);
        fault.because(detail)
    }
}

fn keep(lines: &Mutex<VecDeque<String>>, text: String) {
    if text.is_empty() {
        return;
    }
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() == LINES_MAX {
        lines.pop_front();
    }
    lines.push_back(text);
}
