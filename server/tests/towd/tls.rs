//! Clients that come over TCP: keys, codes, and a session as [`Client`] speaks it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use towpath_protocol::fault::Fault;
use towpath_protocol::hello::{Capability, Hello, Ticket};
use towpath_protocol::pairing::{
    KeyHash, Pairing, PairingCode, PairingSecret, Pin, ProofBinding, SECRET_BYTES,
};
use towpath_secure::{Identity, connect};
use zeroize::Zeroizing;

use super::world::{Client, State, Towd, hello};

/// Carries what the clients say, while the tests wait.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Nothing that a client waits for takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client of these tests is.
pub(crate) type Session = Client<UnixStream, UnixStream>;

/// Somebody with a key, who comes from an address of the loopback.
pub(crate) struct Person {
    name: &'static str,
    identity: Identity,
    pub(crate) from: Ipv4Addr,
}

/// A server on TCP with a state folder of its own.
pub(crate) struct House {
    pub(crate) state: State,
    pub(crate) towd: Towd,
}

impl House {
    pub(crate) fn new(root: &std::path::Path, arguments: &[&str]) -> Self {
        Self::with(State::new(), root, arguments)
    }

    pub(crate) fn with(state: State, root: &std::path::Path, arguments: &[&str]) -> Self {
        let mut command = state.towd();
        command.args(["--json", "--listen", "127.0.0.1:0", "--root"]).arg(root).args(arguments);
        Self { state, towd: Towd::spawn(command) }
    }

    /// A code of `towd pair` with these words.
    pub(crate) fn code(&self, words: &[&str]) -> PairingCode {
        let words: Vec<_> = ["pair"].iter().chain(words).copied().collect();
        PairingCode::parse(self.state.says(&words).trim()).unwrap()
    }

    /// A code of this server with a secret that it does not know.
    pub(crate) fn wrong_code(&self) -> PairingCode {
        PairingCode::new(&self.key(), PairingSecret::new([7; SECRET_BYTES].into()))
    }

    fn key(&self) -> KeyHash {
        self.towd.listening["fingerprint"].as_str().unwrap().parse().unwrap()
    }

    /// Somebody who has been paired with these rights.
    pub(crate) fn paired(&self, name: &'static str, words: &[&str]) -> Person {
        let person = Person::new(name);
        drop(self.meet(&person, Some(&self.code(words))).unwrap());
        person
    }

    /// A connection, on which nothing has been said.
    pub(crate) fn arrive(&self, person: &Person) -> TcpStream {
        let address: SocketAddr = self.towd.address().parse().unwrap();
        RUNTIME.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((IpAddr::V4(person.from), 0).into()).unwrap();
            timeout(PATIENCE, socket.connect(address)).await.expect("nobody answers").unwrap()
        })
    }

    /// What somebody's handshake begins with: a whole `ClientHello`.
    pub(crate) fn hello_of(&self, person: &Person) -> Vec<u8> {
        RUNTIME.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let begun = connect(ours, &person.identity, Pin::Known(self.key()));
            let mut hello = vec![0; 1 << 16];
            let heard = async {
                let length = theirs.read(&mut hello).await.unwrap();
                hello.truncate(length);
                hello
            };
            tokio::select! {
                heard = heard => heard,
                _ = begun => panic!("nobody has answered"),
            }
        })
    }

    /// A session, or what Hello was answered with.
    pub(crate) fn meet(&self, person: &Person, code: Option<&PairingCode>) -> Result<Session, Fault> {
        self.meet_on(self.arrive(person), person, code)
    }

    /// The same, on a connection that stands.
    pub(crate) fn meet_on(
        &self,
        stream: TcpStream,
        person: &Person,
        code: Option<&PairingCode>,
    ) -> Result<Session, Fault> {
        let (ours, channel) = self.secure(stream, person);
        let pairing = code.map(|code| {
            let (client, server) = (person.identity.hash(), self.key());
            let bound = ProofBinding {
                channel: &channel,
                client: &client,
                server: &server,
                name: person.name.as_bytes(),
            };
            Pairing { name: person.name.into(), proof: code.secret.proof(&bound) }
        });
        Client::ask_in(ours, Hello { pairing, ..hello() })
    }

    /// A connection that has proven its key and stays silent.
    pub(crate) fn prove(&self, person: &Person) -> UnixStream {
        self.secure(self.arrive(person), person).0
    }

    /// A session that further streams may join.
    pub(crate) fn meet_with_streams(&self, person: &Person) -> Session {
        self.try_join(person, None).unwrap()
    }

    /// A further stream of the session of this ticket, or what its Hello was answered with.
    pub(crate) fn try_join(&self, person: &Person, ticket: Option<Ticket>) -> Result<Session, Fault> {
        let (ours, _) = self.secure(self.arrive(person), person);
        let capabilities = vec![Capability::new(Capability::STREAMS)];
        Client::ask_in(ours, Hello { capabilities, join: ticket, ..hello() })
    }

    /// A connection on which Hello is to be said, and the name of its channel.
    fn secure(&self, stream: TcpStream, person: &Person) -> (UnixStream, Zeroizing<[u8; 32]>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let server = self.key();
        let channel = RUNTIME.block_on(async {
            let meeting = connect(stream, &person.identity, Pin::Known(server));
            let meeting = timeout(PATIENCE, meeting).await.expect("the handshake hangs");
            let mut secure = meeting.unwrap();
            let channel = secure.channel.clone();
            let mut theirs = tokio::net::UnixStream::from_std(theirs).unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut secure.stream, &mut theirs).await;
            });
            channel
        });
        (ours, channel)
    }
}

impl Person {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, identity: Identity::passing().unwrap(), from: Ipv4Addr::LOCALHOST }
    }
}
