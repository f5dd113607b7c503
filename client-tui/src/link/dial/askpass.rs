//! ssh's questions while the terminal belongs to a screen. ssh runs this very program as its `SSH_ASKPASS`; that hands the question over
//! on a socket in a folder for this user alone, and the answer back. An answer is in no argument, no environment and no file.

use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use towpath_protocol::display::DisplayName;
use zeroize::Zeroizing;

use super::patience::{Asking, OpenQuestion};
use crate::model::{QuestionKind, Secret};

/// Names the socket to the program that ssh runs.
pub const SOCKET_VARIABLE: &str = "TOW_ASKPASS";
/// How ssh tells its askpass program what kind of answer it wants.
const HINT_VARIABLE: &str = "SSH_ASKPASS_PROMPT";

/// Before an answer; nothing comes where there is none.
const ANSWERED: u8 = 1;
/// The longest question; what is longer is cut.
const QUESTION_BYTES_MAX: usize = 4096;
/// How long a question may take from the program to the desk.
const HAND_OVER_TIME: Duration = Duration::from_secs(5);
/// Before the next one is taken where taking one failed.
const FAILED_PAUSE: Duration = Duration::from_millis(100);

/// Where the questions of one attempt to connect arrive. Dropped, nobody is asked any more.
#[derive(Debug)]
pub struct Desk {
    listener: UnixListener,
    folder: PathBuf,
    asking: Arc<Asking>,
}

/// A question. Dropped without an answer, it is refused.
#[derive(Debug)]
pub struct Asked {
    pub kind: QuestionKind,
    /// In lines, escaped.
    pub text: String,
    /// The number of the ssh that asks: a jump host has one of its own.
    pub asker: u32,
    stream: UnixStream,
    /// Its time is the user's.
    _open: OpenQuestion,
}

impl Desk {
    /// Must be called within a tokio runtime.
    #[allow(clippy::disallowed_methods, reason = "a folder of a name that is made up here")]
    pub fn open() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let run =
            std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
        let name = format!("tow-{:016x}", u64::from_ne_bytes(random));
        let make = |folder: PathBuf| {
            let folder = folder.join(&name);
            // Whatever is there already is not ours.
            DirBuilder::new().mode(0o700).create(&folder).map(|()| folder)
        };
        let folder = match run.map(make) {
            Some(Ok(folder)) => folder,
            _ => make(temporary_folder())?,
        };
        match UnixListener::bind(socket_in(&folder)) {
            Ok(listener) => Ok(Self { listener, folder, asking: Arc::default() }),
            Err(error) => {
                let _ = std::fs::remove_dir(&folder);
                Err(error)
            }
        }
    }

    /// What ssh finds in its environment.
    pub(super) fn environment(&self) -> [(&'static str, OsString); 3] {
        [
            ("SSH_ASKPASS", this_program().into()),
            ("SSH_ASKPASS_REQUIRE", "force".into()),
            (SOCKET_VARIABLE, socket_in(&self.folder).into()),
        ]
    }

    /// The clock of all questions.
    pub(super) fn asking(&self) -> Arc<Asking> {
        self.asking.clone()
    }

    /// The next question; one at a time. Dropped while it waits, it loses none.
    pub async fn next(&self) -> Asked {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Ok(Some(asked)) = timeout(HAND_OVER_TIME, Asked::read(stream, &self.asking)).await
                    {
                        return asked;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "ssh's questions");
                    sleep(FAILED_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Desk {
    #[allow(clippy::disallowed_methods, reason = "the folder that was made in `open`")]
    fn drop(&mut self) {
        // That somebody cleared it away is no matter.
        let _ = std::fs::remove_file(socket_in(&self.folder));
        let _ = std::fs::remove_dir(&self.folder);
    }
}

impl Asked {
    /// None of a stranger, and of what is no question.
    async fn read(mut stream: UnixStream, asking: &Arc<Asking>) -> Option<Self> {
        if stream.peer_cred().ok()?.uid() != geteuid().as_raw() {
            return None;
        }
        let hint = stream.read_u8().await.ok()?;
        let asker = stream.read_u32().await.ok()?;
        let mut text = vec![0; usize::from(stream.read_u16().await.ok()?).min(QUESTION_BYTES_MAX)];
        stream.read_exact(&mut text).await.ok()?;
        Some(Self { kind: kind(hint, &text), text: shown(&text), asker, stream, _open: asking.begin() })
    }

    /// Until ssh does not wait for an answer any more.
    pub async fn withdrawn(&mut self) {
        // It says nothing more; that it is gone is all that can be read.
        let _ = self.stream.read_u8().await;
    }

    pub async fn answer(mut self, answer: &Secret) -> io::Result<()> {
        self.stream.write_u8(ANSWERED).await?;
        self.stream.write_all(answer.text().as_bytes()).await?;
        self.stream.shutdown().await
    }
}

/// What ssh says of the answer that it wants: a word or nothing of its own.
const HINTS: [(u8, &str, QuestionKind); 2] =
    [(1, "confirm", QuestionKind::Confirm), (2, "none", QuestionKind::Notice)];

fn kind(hint: u8, text: &[u8]) -> QuestionKind {
    match HINTS.iter().find(|(number, ..)| *number == hint) {
        Some((.., kind)) => *kind,
        // Of a host's key, ssh asks as if it were a password.
        None if text.windows(7).any(|part| part == b"(yes/no") => QuestionKind::Confirm,
        None => QuestionKind::Secret,
    }
}

/// ssh writes in lines; each is a name of somebody's for all that is known here.
fn shown(text: &[u8]) -> String {
    let lines: Vec<String> = text
        .split(|byte| *byte == b'\n')
        .map(|line| DisplayName::new(line.trim_ascii()).to_string())
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n")
}

/// An empty `TMPDIR` is as good as none; a relative one names no folder.
fn temporary_folder() -> PathBuf {
    Some(std::env::temp_dir()).filter(|folder| folder.is_absolute()).unwrap_or_else(|| "/tmp".into())
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("ask")
}

/// As long as this process lives, also where another program has taken its name since.
#[allow(clippy::disallowed_methods, reason = "this program's own executable, which no peer names")]
fn this_program() -> PathBuf {
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    if running.exists() { running } else { std::env::current_exe().unwrap_or_else(|_| "tow".into()) }
}

/// The other side, in the program that ssh runs: hands the question over and waits for the answer; none where it is refused.
pub fn ask(socket: &Path, question: &OsStr) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut stream = BlockingStream::connect(socket)?;
    let hint = std::env::var_os(HINT_VARIABLE).unwrap_or_default();
    let hint = HINTS.iter().find(|(_, word, _)| hint == *word).map_or(0, |(number, ..)| *number);
    let text = question.as_bytes();
    let text = &text[..text.len().min(QUESTION_BYTES_MAX)];
    stream.write_all(&[hint])?;
    stream.write_all(&parent_id().to_be_bytes())?;
    stream.write_all(&(text.len() as u16).to_be_bytes())?;
    stream.write_all(text)?;
    // Room for all at once: what grows leaves copies behind.
    let mut answer = Zeroizing::new(Vec::with_capacity(2 * Secret::BYTES_MAX));
    stream.take(1 + Secret::BYTES_MAX as u64).read_to_end(&mut answer)?;
    // An empty answer is one too: it skips a key.
    if answer.first() != Some(&ANSWERED) {
        return Ok(None);
    }
    answer.remove(0);
    Ok(Some(answer))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_question_goes_over_and_its_answer_back_and_nothing_stays() {
        let desk = Desk::open().unwrap();
        let folder = desk.folder.clone();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let socket = socket_in(&folder);
        for answer in [Some("open sesame"), Some(""), None] {
            let socket = socket.clone();
            let asking =
                tokio::task::spawn_blocking(move || ask(&socket, OsStr::new("Who\x1b[2J?\n\nYou: ")));
            let mut asked = desk.next().await;
            assert_eq!((asked.kind, asked.text.as_str()), (QuestionKind::Secret, "Who\\x1b[2J?\nYou:"));
            assert!(timeout(Duration::from_millis(1), asked.withdrawn()).await.is_err(), "it still waits");
            match answer {
                Some(answer) => asked.answer(&Secret::of(answer)).await.unwrap(),
                None => drop(asked),
            }
            let answered = asking.await.unwrap().unwrap();
            assert_eq!(answered.as_deref().map(Vec::as_slice), answer.map(str::as_bytes));
        }
        drop(desk);
        assert!(!folder.exists());
        assert!(ask(&socket, OsStr::new("?")).is_err());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_withdraws_the_question_and_rubbish_is_none() {
        let desk = Desk::open().unwrap();
        let socket = socket_in(&desk.folder);
        drop(UnixStream::connect(&socket).await.unwrap());
        let mut asking = UnixStream::connect(&socket).await.unwrap();
        asking.write_all(b"\x01\x00\x00\x00\x07\x00\x02ok").await.unwrap();
        let mut asked = desk.next().await;
        assert_eq!((asked.kind, asked.text.as_str(), asked.asker), (QuestionKind::Confirm, "ok", 7));
        drop(asking);
        timeout(HAND_OVER_TIME, asked.withdrawn()).await.unwrap();
    }

    #[test]
    fn a_hosts_key_and_a_touch_are_no_secrets() {
        let known = "ED25519 key fingerprint is SHA256:x.\nAre you sure (yes/no/[fingerprint])? ";
        assert_eq!(kind(0, known.as_bytes()), QuestionKind::Confirm);
        assert_eq!(kind(0, b"Enter passphrase: "), QuestionKind::Secret);
        assert_eq!(kind(2, b"Confirm user presence"), QuestionKind::Notice);
    }
}
