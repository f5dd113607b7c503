//! A server and the way to it: a socket of this machine, or TLS over a long line, where a session gets several streams.

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::long_line::LongLine;
use crate::towd::Towd;
use crate::world::World;

/// In each direction: so long that further streams pay.
const DELAY: Duration = Duration::from_millis(10);

/// Carries the lines while tests wait.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Socket,
    /// Bytes a second that each connection carries.
    Tls(u32),
}

/// A server of the folder `served`. It may be killed, and come back.
pub(crate) struct Server {
    /// None where it was killed.
    towd: Option<Towd>,
    far: Option<Far>,
    limits: Vec<String>,
}

struct Far {
    address: String,
    code: String,
    line: LongLine,
}

impl Server {
    /// With limits of its own, as they are typed.
    pub(crate) fn start(world: &World, over: Over, limits: &[&str]) -> Self {
        let limits: Vec<_> =
            ["disk_reserve_bytes=0"].iter().chain(limits).map(|limit| (*limit).to_owned()).collect();
        let (root, state) = (world.at("served"), world.at("state of towd"));
        let towd = match over {
            Over::Socket => Towd::start(&root, &state, &arguments(&limits)),
            Over::Tls(_) => Towd::start_tls(&root, &state, &arguments(&limits)),
        };
        let far = match over {
            Over::Socket => None,
            Over::Tls(rate) => {
                let address = towd.address().to_owned();
                let line = RUNTIME.block_on(LongLine::to(&address, DELAY, rate));
                Some(Far { code: towd.first_code().unwrap().to_owned(), address, line })
            }
        };
        Self { towd: Some(towd), far, limits }
    }

    /// The line, where there is one.
    pub(crate) fn line(&self) -> Option<&LongLine> {
        self.far.as_ref().map(|far| &far.line)
    }

    pub(crate) fn target(&self, path: &str) -> String {
        match (&self.far, &self.towd) {
            (Some(far), _) => format!("tow://{}/{}", far.line.address, path.trim_start_matches('/')),
            (None, Some(towd)) => towd.target(path),
            (None, None) => panic!("it is dead"),
        }
    }

    /// `tow WORDS`, in the local folder, as one whom the server lets in.
    pub(crate) fn tow(&self, world: &World, words: &[&str]) -> Command {
        let mut tow = world.tow(words);
        if let Some(far) = &self.far {
            tow.env("TOW_PAIR", &far.code);
        }
        tow
    }

    pub(crate) fn kill(&mut self) {
        self.towd.take().unwrap().kill();
    }

    /// After a kill, at the same place.
    pub(crate) fn restart(&mut self, world: &World) {
        let (root, state, arguments) =
            (world.at("served"), world.at("state of towd"), arguments(&self.limits));
        self.towd = Some(match &mut self.far {
            None => Towd::start(&root, &state, &arguments),
            Some(far) => {
                let towd = Towd::start_tls_again(&far.address, &root, &state, &arguments);
                // Where nobody was paired yet, it makes another one.
                if let Some(code) = towd.first_code() {
                    code.clone_into(&mut far.code);
                }
                towd
            }
        });
    }
}

fn arguments(limits: &[String]) -> Vec<&str> {
    limits.iter().flat_map(|limit| ["--limit", limit]).collect()
}
