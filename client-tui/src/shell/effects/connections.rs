//! Connections: dialled, watched, given up, ended in order. A connection that is made again keeps its name.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use towpath_protocol::pairing::PairingCode;
use towpath_protocol::path::WirePath;

use super::questions::Questions;
use super::{Effects, Links};
use crate::app::event::Event;
use crate::link::Link;
use crate::link::dial::{DialFault, dial, install, ssh};
use crate::link::keyring::Keyring;
use crate::model::target::{RemotePath, Server, Target};
use crate::model::{LinkId, Outlook, Secret};

/// How long a change waits for its connection, to learn whether it was done.
const RETURN_TIME: Duration = Duration::from_mins(10);

impl Effects {
    pub(super) fn connect(&mut self, id: LinkId, target: String, attempt: Attempt) {
        let (links, events, keyring) = (self.links.clone(), self.events.clone(), self.keyring.clone());
        let (returned, questions) = (self.returned.clone(), self.questions.clone());
        let ready = self.ready(&target);
        let connecting = tokio::spawn(async move {
            let is_new = ready.is_none();
            let is_asked = !matches!(attempt, Attempt::Unasked);
            let connected = match ready {
                Some(link) => of(&target).and_then(|(server, path)| begun(link, &server, &path)),
                None => connect(&target, &keyring, attempt, (id, &questions)).await,
            };
            let (link, name, path) = match connected {
                Ok(connected) => connected,
                Err(why) => {
                    let _ = events.send(why.event(id)).await;
                    return;
                }
            };
            if let Some(noise) = link.noise().filter(|_| is_new) {
                let text = format!("{name}: skipped what the login shell there prints: '{noise}'");
                let _ = events.send(Event::Said { good: true, text }).await;
            }
            let note = link.note().filter(|_| is_new && is_asked).map(|note| format!("{name}: {note}"));
            let (lost, may) = (link.lost(), link.welcome().permissions());
            let round_trip_ms = link.round_trip().map(|time| time.as_millis().max(1) as u64);
            links.lock().unwrap_or_else(PoisonError::into_inner).insert(id, link);
            returned.notify_waiters();
            let _ = events.send(Event::Allowed { link: id, may }).await;
            let _ = events.send(Event::Connected { link: id, name, path, round_trip_ms }).await;
            // Last, since the newest message is the one that is shown.
            if let Some(text) = note {
                let _ = events.send(Event::Said { good: true, text }).await;
            }
            let why = lost.await.to_string();
            let _ = events.send(Event::Disconnected { link: id, why, at_ns: now_ns() }).await;
        });
        if let Some(old) = self.connections.insert(id, connecting) {
            old.abort();
        }
    }

    /// A connection that stands already, made for whichever pane came first.
    fn ready(&self, target: &str) -> Option<Link> {
        let Ok(Target::Remote { server, .. }) = Target::parse(OsStr::new(target)) else { return None };
        self.ready.get(&server).filter(|link| !link.is_lost()).cloned()
    }

    /// Gives up an attempt, or takes leave of the server, unless another pane has the same connection.
    pub(super) fn disconnect(&mut self, id: LinkId) {
        if let Some(connecting) = self.connections.remove(&id) {
            connecting.abort();
        }
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.remove(&id)
            && !links.values().any(|other| other.is_same(&link))
        {
            tokio::spawn(async move { link.bye().await });
        }
        drop(links);
        self.returned.notify_waiters();
    }

    /// Takes leave of every server.
    pub(super) async fn bye(&mut self) {
        self.connections.drain().for_each(|(_, connection)| connection.abort());
        let links: Vec<Link> =
            self.links.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(_, link)| link).collect();
        futures_util::future::join_all(links.iter().map(Link::bye)).await;
    }
}

/// The link of this name once it stands again; none where it was closed, or is not back for a long time.
pub(super) async fn back(links: &Links, returned: &Notify, id: LinkId) -> Option<Link> {
    let until = Instant::now() + RETURN_TIME;
    loop {
        let changed = returned.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let link = links.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()?;
        if !link.is_lost() {
            return Some(link);
        }
        timeout_at(until, changed).await.ok()?;
    }
}

fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// On whose behalf a connection is made, and with what.
#[derive(Debug)]
pub(super) enum Attempt {
    /// A person wants it, and answers questions.
    New,
    /// Nobody has called for it: nobody is asked.
    Unasked,
    /// With the code that a person has typed.
    Pairing(Secret),
    /// This program is put on that system first.
    Installing { system: String },
}

/// Why there is no connection.
enum NotConnected {
    CodeWanted,
    /// `text` asks whether it may be.
    NotInstalled {
        system: String,
        text: String,
    },
    Because(String, Outlook),
}

impl NotConnected {
    fn of(fault: &DialFault) -> Self {
        Self::Because(fault.to_string(), outlook(fault))
    }

    fn event(self, link: LinkId) -> Event {
        match self {
            Self::CodeWanted => Event::CodeWanted { link },
            Self::NotInstalled { system, text } => Event::InstallOffered { link, system, text },
            Self::Because(why, outlook) => Event::NotConnected { link, why, outlook, at_ns: now_ns() },
        }
    }
}

/// Whether another attempt may succeed without anybody's doing on this side. A key that has changed is a reason to stop.
fn outlook(fault: &DialFault) -> Outlook {
    match fault {
        DialFault::Ssh { said } if ssh::wants_somebody(said) => Outlook::Stays,
        DialFault::CodeWanted
        | DialFault::WrongCode
        | DialFault::NoTries(_)
        | DialFault::CodeOfAnother { .. }
        | DialFault::KeyChanged { .. }
        | DialFault::Keyring(_)
        | DialFault::NoProgram(_)
        | DialFault::NothingThere { .. }
        | DialFault::NotInstalled(_)
        | DialFault::NotOurs => Outlook::Stays,
        _ => Outlook::MayPass,
    }
}

type Connected = (Link, String, WirePath);

/// The link, the server's name, and where on it the pane begins.
async fn connect(
    target: &str,
    keyring: &Arc<Keyring>,
    attempt: Attempt,
    (id, questions): (LinkId, &Questions),
) -> Result<Connected, NotConnected> {
    let (server, path) = of(target)?;
    let link = match (&server, attempt) {
        (_, Attempt::Unasked) => dial(&server, keyring, None).await.map_err(|fault| match fault {
            DialFault::CodeWanted => because(&"it does not know this client any more"),
            fault => NotConnected::of(&fault),
        })?,
        (Server::Ssh(host), attempt) => {
            let system = if let Attempt::Installing { system } = attempt { Some(system) } else { None };
            questions.dial(id, host, system, keyring).await.map_err(|fault| match fault {
                DialFault::NothingThere { system, found } => {
                    NotConnected::NotInstalled { text: install::question(host, &system, &found), system }
                }
                fault => NotConnected::of(&fault),
            })?
        }
        (_, attempt) => {
            let code = if let Attempt::Pairing(code) = attempt { Some(code) } else { None };
            let code = code.map(|code| PairingCode::parse(code.text())).transpose();
            let code = code.map_err(|bad| because(&format_args!("the pairing code: {bad}")))?;
            dial(&server, keyring, code).await.map_err(|fault| match fault {
                DialFault::CodeWanted => NotConnected::CodeWanted,
                fault => NotConnected::of(&fault),
            })?
        }
    };
    begun(link, &server, &path)
}

/// The server that a target is on, and the path there.
fn of(target: &str) -> Result<(Server, RemotePath), NotConnected> {
    let target = Target::parse(&OsString::from(target)).map_err(|error| because(&error))?;
    let Target::Remote { server, path } = target else {
        return Err(because(&"not a TARGET; write tow://HOST[:PORT]/[PATH]"));
    };
    let path = RemotePath::parse(&server, &path).map_err(|error| because(&error))?;
    Ok((server, path))
}

fn begun(link: Link, server: &Server, path: &RemotePath) -> Result<Connected, NotConnected> {
    let path = path.on(&link.welcome().home).map_err(|error| because(&error))?;
    Ok((link, server.to_string(), path))
}

fn because(why: &dyn std::fmt::Display) -> NotConnected {
    NotConnected::Because(why.to_string(), Outlook::Stays)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use std::collections::HashMap;
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, DuplexStream, ReadBuf, ReadHalf};
    use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
    use towpath_files::root::RootSpec;
    use towpath_files::service::{Service, ServiceConfig};
    use towpath_files::session::{SessionOptions, serve};
    use towpath_protocol::fault::FaultCode;
    use towpath_protocol::hello::Access;
    use towpath_protocol::pairing::KeyHash;
    use towpath_protocol::request::Durability;

    use super::super::Kept;
    use super::*;
    use crate::app::effect::Effect;
    use crate::model::{Carry, JobId, Place};
    use crate::transfer::job::OnRequest;

    #[test]
    fn a_changed_key_or_a_missing_code_is_no_reason_to_try_again_and_silence_is() {
        let (known, found) = (KeyHash([1; 32]), KeyHash([2; 32]));
        let changed = DialFault::KeyChanged { known, found, address: "box:7171".into() };
        let ssh = |said: &str| DialFault::Ssh { said: said.to_owned() };
        let not_let_in = ssh("ann@box: Permission denied (publickey,password).");
        for fault in [changed, DialFault::CodeWanted, DialFault::WrongCode, not_let_in] {
            assert_eq!(outlook(&fault), Outlook::Stays, "{fault}");
        }
        let no_way = ssh("ssh: connect to host box port 22: No route to host");
        for fault in [DialFault::Refused, DialFault::TimedOut, DialFault::NoSocket, no_way] {
            assert_eq!(outlook(&fault), Outlook::MayPass, "{fault}");
        }
    }

    fn link() -> Link {
        let config =
            ServiceConfig { root: RootSpec::Whole, access: Access::ReadOnly, home: WirePath::root() };
        Link::in_process(Arc::new(Service::new(config).unwrap()))
    }

    /// One whose other side is gone.
    async fn lost_link() -> Link {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let config =
            ServiceConfig { root: RootSpec::Whole, access: Access::ReadOnly, home: WirePath::root() };
        let service = Arc::new(Service::new(config).unwrap());
        let (reader, writer) = tokio::io::split(theirs);
        let serving = tokio::spawn(serve(reader, writer, service, SessionOptions::default()));
        let (reader, writer) = tokio::io::split(ours);
        let link = Link::over(reader, writer).await.unwrap();
        serving.abort();
        link.lost().await;
        link
    }

    #[tokio::test]
    async fn a_change_waits_until_its_connection_is_back_or_closed() {
        let (id, returned) = (LinkId(3), Arc::new(Notify::new()));
        for comes_back in [true, false] {
            let links: Links = Arc::new(Mutex::new(HashMap::from([(id, lost_link().await)])));
            let waiting = tokio::spawn({
                let (links, returned) = (links.clone(), returned.clone());
                async move { back(&links, &returned, id).await.is_some() }
            });
            tokio::task::yield_now().await;
            if comes_back {
                links.lock().unwrap().insert(id, link());
            } else {
                links.lock().unwrap().remove(&id);
            }
            returned.notify_waiters();
            assert_eq!(waiting.await.unwrap(), comes_back);
        }
    }

    /// Reads until it is told that the line is cut: nothing after that, then the end.
    struct Line {
        inner: ReadHalf<DuplexStream>,
        is_held: Arc<AtomicBool>,
        /// Bytes until it is held by itself.
        passes: u64,
        is_cut: CancellationToken,
        cut: Pin<Box<WaitForCancellationFutureOwned>>,
    }

    impl AsyncRead for Line {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            if self.cut.as_mut().poll(context).is_ready() || self.is_cut.is_cancelled() {
                return Poll::Ready(Ok(()));
            }
            if self.is_held.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            let is_held = self.is_held.clone();
            let filled = buffer.filled().len();
            let read = Pin::new(&mut self.inner).poll_read(context, buffer);
            if is_held.load(Ordering::Acquire) {
                // It came after the line was held.
                buffer.set_filled(filled);
                return Poll::Pending;
            }
            self.passes = self.passes.saturating_sub((buffer.filled().len() - filled) as u64);
            if self.passes == 0 {
                is_held.store(true, Ordering::Release);
            }
            read
        }
    }

    async fn session(service: &Arc<Service>, is_held: Arc<AtomicBool>, is_cut: CancellationToken) -> Link {
        session_of(service, is_held, is_cut, u64::MAX).await
    }

    async fn session_of(
        service: &Arc<Service>,
        is_held: Arc<AtomicBool>,
        is_cut: CancellationToken,
        passes: u64,
    ) -> Link {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(serve(reader, writer, service.clone(), SessionOptions::default()));
        let (inner, writer) = tokio::io::split(ours);
        let cut = Box::pin(is_cut.clone().cancelled_owned());
        Link::over(Line { inner, is_held, passes, is_cut, cut }, writer).await.unwrap()
    }

    /// The newest of what comes until the job ends.
    async fn until_ended(events: &mut tokio::sync::mpsc::Receiver<Event>) -> Event {
        loop {
            let event = events.recv().await.unwrap();
            if matches!(event, Event::JobEnded { .. }) {
                return event;
            }
        }
    }

    fn read_write(root: RootSpec) -> Arc<Service> {
        let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
        Arc::new(Service::new(config).unwrap())
    }

    /// As where a laptop slept, or the line is dead and nobody says so.
    #[tokio::test]
    async fn a_copy_over_a_line_that_falls_silent_ends_in_time_and_goes_on_by_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
        std::fs::create_dir(&there).unwrap();
        // All of it crosses the line: on a busy machine it is packed as far as it can be, and would end before the line falls silent.
        let mut content = vec![0; 32 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut content);
        std::fs::write(there.join("file"), &content).unwrap();
        let server = read_write(RootSpec::Jailed(there));
        let this_machine = Link::in_process(read_write(RootSpec::Whole));
        let keyring = Arc::new(Keyring::new(None, String::new(), None));
        let ready = super::super::Ready::new();
        let (mut effects, mut events) = Effects::new(
            this_machine,
            keyring,
            ready,
            Kept::default(),
            (Durability::Synced, OnRequest::default()),
        );
        let id = LinkId(1);
        let to = towpath_files::root::local_path(&here).unwrap();
        let carry = |job| Effect::Carry {
            job: JobId(job),
            carry: Carry::Copy,
            source: id,
            items: vec![(WirePath::parse(b"file").unwrap(), to.clone())],
            destination: LinkId::LOCAL,
            existing: None,
        };
        let (is_held, is_cut) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let silent = session_of(&server, is_held.clone(), is_cut, 20 << 20).await;
        effects.links.lock().unwrap().insert(id, silent.clone());
        effects.perform(carry(1));
        while !is_held.load(Ordering::Acquire) {
            let event = events.try_recv();
            assert!(!matches!(event, Ok(Event::JobEnded { .. })), "it ended before the line fell silent");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Nobody waits for all that silence.
        tokio::time::pause();
        let began = Instant::now();
        while !silent.is_lost() {
            assert!(began.elapsed() < Duration::from_mins(2), "it waits for ever");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        tokio::time::resume();
        let Event::JobEnded { stopped: Some(fault), .. } = until_ended(&mut events).await else {
            panic!("it does not know that it was cut off")
        };
        assert_eq!(fault.code, FaultCode::Disconnected, "{fault}");
        assert!(!here.exists());
        let again = session(&server, Arc::default(), CancellationToken::new()).await;
        effects.links.lock().unwrap().insert(id, again);
        effects.perform(carry(2));
        let Event::JobEnded { good, text, .. } = until_ended(&mut events).await else { unreachable!() };
        assert!(good && text.contains("MB of it there from before"), "{text}");
        assert!(std::fs::read(here).unwrap() == content);
    }

    #[tokio::test]
    async fn a_change_whose_answer_was_lost_is_not_done_twice_and_its_outcome_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = RootSpec::Jailed(dir.path().to_owned());
        let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
        let service = Arc::new(Service::new(config).unwrap());
        let keyring = Arc::new(Keyring::new(None, String::new(), None));
        let keeping = (Durability::Synced, OnRequest::default());
        let (mut effects, mut events) =
            Effects::new(link(), keyring, super::super::Ready::new(), Kept::default(), keeping);
        let (id, is_held, is_cut) = (LinkId(1), Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let first = session(&service, is_held.clone(), is_cut.clone()).await;
        effects.links.lock().unwrap().insert(id, first);
        is_held.store(true, Ordering::Release);
        let path = WirePath::parse(b"made").unwrap();
        let place = Place { link: id, path: path.clone() };
        effects.perform(Effect::MakeFolder { ticket: 1, place });
        while !dir.path().join("made").is_dir() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        is_cut.cancel();
        let again = session(&service, Arc::default(), CancellationToken::new()).await;
        effects.links.lock().unwrap().insert(id, again);
        effects.returned.notify_waiters();
        let event = events.recv().await.unwrap();
        assert!(matches!(event, Event::Done { ticket: 1, outcome: Ok(()), .. }), "{event:?}");
        let event = events.recv().await.unwrap();
        let Event::Changed { made, .. } = event else { panic!("{event:?}") };
        assert_eq!(made, Some(path));
    }
}
