//! Connections as the panes know them: made, lost, made again, ended. A pane whose connection is lost keeps what it shows, says why,
//! and takes no changes; it never turns into a pane of this machine.

use std::ffi::OsStr;

use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::Fault;
use towpath_protocol::pairing::PairingCode;
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;

use super::dialog::{Ask, Dialog, Label, Line, Purpose, Stop, Then};
use super::effect::{Effect, Timer};
use super::jobs::Hold;
use super::{App, Tone, queue};
use crate::model::target::{self, Target};
use crate::model::{Asking, JobId, LinkId, Outlook, Place, Secret, Side};

/// The longest pause between two attempts to make a connection again.
const PAUSE_MS_MAX: u64 = 30_000;

/// A server that a pane may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub link: LinkId,
    /// As typed.
    pub target: String,
    /// Without a path, escaped.
    pub name: String,
    pub state: State,
    /// What it lets this client do, as far as it has said.
    pub(super) may: Permissions,
}

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Connecting {
        /// What is made again, and was lost; none where it is new.
        loss: Option<Loss>,
        /// Whether nobody asked for this attempt.
        by_itself: bool,
    },
    Live {
        round_trip_ms: Option<u64>,
    },
    Lost(Loss),
}

/// A connection that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Why it was lost, or why it could not be made again.
    pub why: String,
    /// Since when, in nanoseconds since 1970; none where it never was.
    pub at_ns: Option<i64>,
    /// None where nothing more is tried.
    pub retry: Option<Retry>,
}

/// The next attempt to make a connection again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts that have failed.
    tries: u32,
    /// In nanoseconds since 1970.
    pub again_at_ns: i64,
}

impl Retry {
    /// After so many attempts, the last of which failed now.
    fn after(tries: u32, now_ns: i64) -> Self {
        Self { tries, again_at_ns: now_ns.saturating_add(pause_ms(tries) as i64 * 1_000_000) }
    }
}

/// One second, two, four, and never more than thirty.
fn pause_ms(tries: u32) -> u64 {
    1_u64.checked_shl(tries).map_or(PAUSE_MS_MAX, |seconds| seconds.saturating_mul(1_000)).min(PAUSE_MS_MAX)
}

impl Server {
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// What was lost and is not there yet.
    pub const fn loss(&self) -> Option<&Loss> {
        match &self.state {
            State::Lost(loss) | State::Connecting { loss: Some(loss), .. } => Some(loss),
            _ => None,
        }
    }

    /// The next attempt by itself.
    pub fn retry(&self) -> Option<Retry> {
        match &self.state {
            State::Lost(loss) => loss.retry,
            _ => None,
        }
    }
}

impl App {
    pub fn server(&self, link: LinkId) -> Option<&Server> {
        self.servers.iter().find(|server| server.link == link)
    }

    pub(super) fn server_mut(&mut self, link: LinkId) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.link == link)
    }

    /// Whether a link can be asked for something now.
    pub(super) fn is_live(&self, link: LinkId) -> bool {
        link == LinkId::LOCAL || self.server(link).is_some_and(Server::is_live)
    }

    /// As `is_live`, and says why where not.
    pub(super) fn is_usable(&mut self, link: LinkId) -> bool {
        let text = match self.server(link) {
            _ if self.is_live(link) => return true,
            Some(Server { name, state: State::Connecting { .. }, .. }) => {
                format!("{name}: still connecting; Esc gives up")
            }
            Some(server) if server.retry().is_some() => {
                format!("{}: not connected; retrying", server.name)
            }
            Some(Server { name, .. }) => format!("{name}: not connected; C reconnects"),
            None => "not connected".to_owned(),
        };
        self.say(Tone::Bad, text);
        false
    }

    /// A place as messages show it: `tow://box/backup`, `~/photos`.
    pub fn shown_place(&self, place: &Place) -> String {
        let path = &place.path;
        if self.server(place.link).is_some() || self.home.is_root() || !path.starts_with(&self.home) {
            return self.place_text(place);
        }
        let below = &path.names()[self.home.names().len()..];
        below.iter().fold("~".to_owned(), |text, name| format!("{text}/{}", name.display()))
    }

    /// A place in full: `tow://box/backup`, `/home/me`.
    pub fn place_text(&self, place: &Place) -> String {
        let server = self.server(place.link).map(|server| server.name.as_str()).unwrap_or_default();
        format!("{server}/{}", place.path.display())
    }

    /// A fault of a link, its path as people write it.
    pub(super) fn fault_text(&self, link: LinkId, fault: &Fault) -> String {
        match fault.path.clone() {
            Some(path) => format!(
                "{}: {}",
                self.shown_place(&Place { link, path }),
                Fault { path: None, ..fault.clone() }
            ),
            None => fault.to_string(),
        }
    }

    /// A pane on a server that is yet to be connected to. Nothing leads from it to this machine.
    pub fn open_on(&mut self, side: Side, target: &str) -> Effect {
        let effect = self.connect_new(target);
        if let Effect::Connect { link, .. } = &effect {
            self.pane_mut(side).arrive_at(Place { link: *link, path: WirePath::root() });
        }
        effect
    }

    pub(super) fn connect_new(&mut self, target: &str) -> Effect {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (target, state) = (target.to_owned(), State::Connecting { loss: None, by_itself: false });
        let name = target.trim_end_matches('/').to_owned();
        self.servers.push(Server { link, target: target.clone(), name, state, may: Permissions::ALL });
        self.hint(format!("connecting to {target} …  Esc gives up"));
        Effect::Connect { link, target, asking: Asking::Allowed }
    }
}

/// The server that a target is on, and the path behind it where that says more than the target that it was opened with.
pub(super) fn known<'a>(app: &'a App, target: &str) -> Option<(&'a Server, Option<WirePath>)> {
    let (server, path) = parts(target)?;
    let is_there = |known: &Server| parts(&known.name).is_some_and(|(named, _)| named == server);
    let is_it = |known: &&Server| {
        path.is_empty() && is_there(known)
            || parts(&known.target).is_some_and(|it| it == (server.clone(), path.clone()))
    };
    if let Some(known) = app.servers.iter().find(is_it) {
        return Some((known, None));
    }
    // Elsewhere a path may mean something else than a path from the root.
    let target::Server::Tow { .. } = server else { return None };
    let known = app.servers.iter().find(|known| is_there(known))?;
    Some((known, Some(WirePath::parse(&path).ok()?)))
}

/// The server and the path of a target; none of what leads to no server.
fn parts(target: &str) -> Option<(target::Server, Vec<u8>)> {
    match Target::parse(OsStr::new(target)) {
        Ok(Target::Remote { server, path }) => Some((server, path)),
        _ => None,
    }
}

/// `connme TARGET`: a pane goes there; where the connection is there already, at once.
pub(super) fn connect(app: &mut App, side: Side, typed: &str) -> Vec<Effect> {
    let target = &app.bookmarks.expanded(typed);
    let found = known(app, target).map(|(server, path)| (server.link, server.state.clone(), path));
    let Some((link, state, path)) = found else {
        let effect = app.connect_new(target);
        if let Effect::Connect { link, .. } = &effect {
            app.pane_mut(side).leave_for(Place { link: *link, path: WirePath::root() }, None);
        }
        return vec![effect];
    };
    let is_shown = app.panes.iter().any(|pane| pane.place.link == link);
    let is_said = path.is_none() && is_shown;
    let place = Place { link, path: path.unwrap_or_default() };
    match state {
        State::Connecting { .. } => Vec::new(),
        State::Live { .. } if is_said => connected_to(app),
        State::Live { .. } => app.go(side, place, None),
        State::Lost(_) => {
            if !is_shown {
                app.pane_mut(side).leave_for(place, None);
            }
            reconnect(app, link, Asking::Allowed)
        }
    }
}

/// `connme` and `C`: makes a lost connection again, the active pane's first; else tells what there is.
pub(super) fn connect_again(app: &mut App) -> Option<Vec<Effect>> {
    let here = [app.here().place.link, app.there().place.link];
    let is_lost = |link: &LinkId| matches!(app.server(*link), Some(Server { state: State::Lost(_), .. }));
    let link = here.into_iter().find(is_lost)?;
    Some(reconnect(app, link, Asking::Allowed))
}

/// Makes a lost connection again; nothing is asked where nobody called for it.
fn reconnect(app: &mut App, link: LinkId, asking: Asking) -> Vec<Effect> {
    let Some(server) = app.server_mut(link) else { return Vec::new() };
    let State::Lost(loss) = &server.state else { return Vec::new() };
    let by_itself = asking == Asking::Forbidden;
    server.state = State::Connecting { loss: Some(loss.clone()), by_itself };
    let target = server.target.clone();
    if !by_itself {
        app.hint(format!("reconnecting to {target} …  Esc gives up"));
    }
    vec![Effect::Connect { link, target, asking }]
}

/// Somebody wants a connection: where it is lost it is made again, and questions are asked.
pub(super) fn make_again(app: &mut App, link: LinkId) -> Vec<Effect> {
    reconnect(app, link, Asking::Allowed)
}

/// The pause before the next attempt is over.
pub(super) fn retry(app: &mut App, link: LinkId) -> Vec<Effect> {
    if app.server(link).is_some_and(|server| server.retry().is_some()) {
        reconnect(app, link, Asking::Forbidden)
    } else {
        Vec::new()
    }
}

/// `connme` alone.
pub(super) fn connected_to(app: &mut App) -> Vec<Effect> {
    if let Some(effects) = connect_again(app) {
        return effects;
    }
    let live: Vec<&str> =
        app.servers.iter().filter(|server| server.is_live()).map(|server| server.name.as_str()).collect();
    if live.is_empty() {
        app.say(Tone::Plain, "not connected; connme TARGET connects, e.g. connme tow://127.0.0.1:7171/");
    } else {
        let text = format!("connected to {}", live.join(", "));
        app.say(Tone::Good, text);
    }
    Vec::new()
}

pub(super) fn connected(
    app: &mut App,
    link: LinkId,
    (name, path): (&str, &WirePath),
    round_trip_ms: Option<u64>,
) -> Vec<Effect> {
    let connecting = app.server_mut(link).and_then(|server| match server.state {
        State::Connecting { ref loss, .. } => {
            Some((loss.as_ref().is_some_and(|loss| loss.at_ns.is_some()), server))
        }
        _ => None,
    });
    // Nobody waits for it any more.
    let Some((is_back, server)) = connecting else { return vec![Effect::Disconnect(link)] };
    name.clone_into(&mut server.name);
    let target = server.target.clone();
    server.state = State::Live { round_trip_ms };
    app.say(
        Tone::Good,
        if is_back { format!("{name}: connected again") } else { format!("connected to {name}") },
    );
    for job in app.jobs.iter_mut().filter(|job| job.uses(link)) {
        job.hold = job.hold.filter(|hold| *hold != Hold::Connection);
    }
    let mut effects = Vec::new();
    if !is_back {
        effects.push(Effect::NoteTarget(target));
    }
    for side in [Side::Left, Side::Right] {
        if app.pane(side).place.link == link {
            let pane = app.pane_mut(side);
            if !is_back {
                pane.arrive_at(Place { link, path: path.clone() });
            }
            effects.extend(app.reload(side));
        }
    }
    effects
}

/// There is no connection, and why. What was lost, or what jobs wait for, is tried again by itself, unless that is of no use.
pub(super) fn not_connected(
    app: &mut App,
    link: LinkId,
    (why, outlook): (&str, Outlook),
    at_ns: i64,
) -> Vec<Effect> {
    let is_wanted = app.jobs.iter().any(|job| job.uses(link));
    let Some(server) = app.server_mut(link) else { return Vec::new() };
    let State::Connecting { loss, .. } = &server.state else { return Vec::new() };
    let (text, is_new) = (format!("{}: {why}", server.name), loss.is_none());
    let is_news = loss.as_ref().is_none_or(|loss| loss.why != why);
    let lost_at_ns = loss.as_ref().and_then(|loss| loss.at_ns);
    let tries = loss.as_ref().and_then(|loss| loss.retry).map_or(0, |retry| retry.tries + 1);
    let goes_on = (lost_at_ns.is_some() || is_wanted) && outlook == Outlook::MayPass;
    let retry = goes_on.then(|| Retry::after(tries, at_ns));
    server.state = State::Lost(Loss { why: why.to_owned(), at_ns: lost_at_ns, retry });
    if is_news {
        app.say(Tone::Bad, text.clone());
    }
    if goes_on {
        if lost_at_ns.is_none() {
            for pane in app.panes.iter_mut().filter(|pane| pane.place.link == link) {
                pane.wait_for_connection(format!("{text}; retrying, Esc gives up"));
            }
        }
        return vec![Effect::Wait { timer: Timer::Reconnect(link), ms: pause_ms(tries) }];
    }
    let is_new = is_new && !is_wanted;
    for side in [Side::Left, Side::Right] {
        let pane = app.pane_mut(side);
        if pane.place.link == link && !pane.turn_back() {
            pane.wait_for_connection(format!("{text} — C tries again, :byebye leaves for this machine."));
        }
    }
    if is_new && app.panes.iter().all(|pane| pane.place.link != link) {
        app.servers.retain(|server| server.link != link);
    }
    Vec::new()
}

/// The server wants a pairing code: who sits here may have it.
pub(super) fn ask_code(app: &mut App, link: LinkId) {
    let Some(server) = app.server(link) else { return };
    if !matches!(server.state, State::Connecting { by_itself: false, .. }) {
        return;
    }
    let title = format!("Pair with {}", DisplayName::new(server.target.as_bytes()));
    let label = Label::of("Pairing code (run `towd pair` on the server)", "", "");
    let (line, purpose) = (Line::default(), Purpose::Pair(link));
    // Beneath whatever a person is typing; what is typed here by mistake is no code.
    app.dialogs.insert(0, Dialog::Ask(Ask::new(&title, label, line, purpose)));
}

/// A code was typed.
pub(super) fn pair(app: &mut App, link: LinkId, text: &str) -> Result<Vec<Effect>, String> {
    PairingCode::parse(text).map_err(|bad| bad.to_string())?;
    let target = app.server(link).map(|server| server.target.clone());
    let effect = |target| Effect::Pair { link, target, code: Secret::of(text) };
    Ok(target.map(effect).into_iter().collect())
}

/// A connection is gone. It is made again by itself; until then the panes that show it keep what they show.
pub(super) fn lost(app: &mut App, link: LinkId, why: String, at_ns: i64) -> Vec<Effect> {
    let Some(server) = app.server_mut(link).filter(|server| server.is_live()) else { return Vec::new() };
    let text = format!("{}: {why}", server.name);
    server.state = State::Lost(Loss { why, at_ns: Some(at_ns), retry: Some(Retry::after(0, at_ns)) });
    app.say(Tone::Bad, text);
    for pane in &mut app.panes {
        // A listing of the lost link ends with its own word.
        if pane.place.link == link && !pane.loading {
            pane.fault = None;
        }
    }
    vec![Effect::Wait { timer: Timer::Reconnect(link), ms: pause_ms(0) }]
}

/// A key in a pane whose connection waits for its next attempt: it is made at once.
pub(super) fn retry_at_once(app: &mut App, side: Side) -> Vec<Effect> {
    let link = app.pane(side).place.link;
    if let Some(Server { state: State::Lost(Loss { retry: Some(retry), .. }), .. }) = app.server_mut(link) {
        // Impatience makes no pause longer.
        retry.tries = retry.tries.saturating_sub(1);
    }
    retry(app, link)
}

/// Esc: gives up connections that a person wants made, and what the active pane tries by itself. None where there are none.
pub(super) fn give_up(app: &mut App) -> Option<Vec<Effect>> {
    let here = app.here().place.link;
    let is_tried = |server: &&Server| match &server.state {
        State::Connecting { by_itself, .. } => !by_itself || server.link == here,
        State::Lost(loss) => loss.retry.is_some() && server.link == here,
        State::Live { .. } => false,
    };
    let links: Vec<LinkId> = app.servers.iter().filter(is_tried).map(|server| server.link).collect();
    for link in &links {
        stop_trying(app, *link, "given up");
    }
    (!links.is_empty()).then(|| links.into_iter().map(Effect::Disconnect).collect())
}

/// Nothing more is tried until somebody asks for it. What was lost stays lost for the reason that it was.
pub(super) fn stop_trying(app: &mut App, link: LinkId, why: &str) {
    let Some(server) = app.server_mut(link) else { return };
    let Some(loss) = server.loss().cloned() else {
        not_connected(app, link, (why, Outlook::Stays), 0);
        return;
    };
    let text = format!("{}: {why}; C reconnects", server.name);
    server.state = State::Lost(Loss { retry: None, ..loss });
    app.say(Tone::Plain, text);
}

/// `byebye`: ends the active pane's connection, or the other's.
pub(super) fn byebye(app: &mut App) -> Vec<Effect> {
    let links = [app.here().place.link, app.there().place.link];
    let Some(link) = links.into_iter().find(|link| *link != LinkId::LOCAL) else {
        app.say(Tone::Plain, "not connected");
        return Vec::new();
    };
    byebye_to(app, link)
}

/// Ends a connection. Asks where jobs use it.
pub(super) fn byebye_to(app: &mut App, link: LinkId) -> Vec<Effect> {
    if app.jobs.iter().any(|job| job.uses(link)) {
        let can_keep = app.jobs.iter().any(|job| job.uses(link) && app.can_keep(job));
        app.dialogs.push(Dialog::Stop(Stop { then: Then::Bye(link), can_keep, focus: 0 }));
        return Vec::new();
    }
    leave(app, link, queue::cancel)
}

/// Ends a connection, and its jobs as `end_job` does; panes that show it go to where they last were on this machine.
pub(super) fn leave(app: &mut App, link: LinkId, end_job: fn(&mut App, JobId) -> Vec<Effect>) -> Vec<Effect> {
    let Some(at) = app.servers.iter().position(|server| server.link == link) else { return Vec::new() };
    let server = app.servers.remove(at);
    app.say(Tone::Good, format!("connection to {} closed", server.name));
    if app.clipboard.as_ref().is_some_and(|clipboard| clipboard.link == link) {
        app.clipboard = None;
    }
    let jobs: Vec<JobId> = app.jobs.iter().filter(|job| job.uses(link)).map(|job| job.id).collect();
    let mut effects: Vec<Effect> = jobs.into_iter().flat_map(|job| end_job(app, job)).collect();
    effects.push(Effect::Disconnect(link));
    for side in [Side::Left, Side::Right] {
        let home = Place { link: LinkId::LOCAL, path: app.home.clone() };
        let pane = app.pane_mut(side);
        if pane.place.link == link {
            let place = pane.last_place_on(LinkId::LOCAL).unwrap_or(home);
            pane.turn_back();
            pane.leave_for(place, None);
            pane.forget(link);
            effects.extend(app.reload(side));
        } else {
            pane.forget(link);
        }
    }
    effects
}
