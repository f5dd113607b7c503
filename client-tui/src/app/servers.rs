//! Connections as the panes know them: made, lost, made again, ended. A pane whose connection is lost keeps what it shows, says why,
//! and takes no changes; it never turns into a pane of this machine.

use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::Fault;
use towpath_protocol::pairing::PairingCode;
use towpath_protocol::path::WirePath;

use super::dialog::{Ask, Dialog, Line, Purpose, Then};
use super::effect::Effect;
use super::{App, Tone};
use crate::model::{LinkId, Place, Secret, Side};

/// A server that a pane may show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub link: LinkId,
    /// As typed.
    pub target: String,
    /// Without a path, escaped.
    pub name: String,
    pub state: State,
}

/// How a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Being made; whether for the first time.
    Connecting {
        is_first: bool,
        /// Since when it was lost, where it was.
        lost_at_ns: Option<i64>,
    },
    Live {
        round_trip_ms: Option<u64>,
    },
    Lost {
        why: String,
        /// Since when, in nanoseconds since 1970; none where a person gave up.
        at_ns: Option<i64>,
    },
}

impl Server {
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }
}

impl App {
    pub fn server(&self, link: LinkId) -> Option<&Server> {
        self.servers.iter().find(|server| server.link == link)
    }

    fn server_mut(&mut self, link: LinkId) -> Option<&mut Server> {
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
            Some(Server { name, .. }) => format!("{name}: not connected; C connects again"),
            None => "not connected".to_owned(),
        };
        self.say(Tone::Bad, text);
        false
    }

    /// A place as people write it: `tow://box/backup`, `/home/me`.
    pub fn place_text(&self, place: &Place) -> String {
        let server = self.server(place.link).map(|server| server.name.as_str()).unwrap_or_default();
        format!("{server}/{}", place.path.display())
    }

    /// A fault of a link, its path as people write it.
    pub(super) fn fault_text(&self, link: LinkId, fault: &Fault) -> String {
        match fault.path.clone() {
            Some(path) => format!(
                "{}: {}",
                self.place_text(&Place { link, path }),
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

    fn connect_new(&mut self, target: &str) -> Effect {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (target, state) = (target.to_owned(), State::Connecting { is_first: true, lost_at_ns: None });
        let name = target.trim_end_matches('/').to_owned();
        self.servers.push(Server { link, target: target.clone(), name, state });
        self.hint(format!("connecting to {target} …  Esc gives up"));
        Effect::Connect { link, target }
    }
}

/// `connme TARGET`: the right pane goes there; where the connection is there already, at once.
pub(super) fn connect(app: &mut App, target: &str) -> Vec<Effect> {
    let known = app
        .servers
        .iter()
        .find(|server| server.target == target || server.name == target.trim_end_matches('/'));
    let Some((link, state)) = known.map(|server| (server.link, server.state.clone())) else {
        let effect = app.connect_new(target);
        if let Effect::Connect { link, .. } = &effect {
            app.pane_mut(Side::Right).leave_for(Place { link: *link, path: WirePath::root() }, None);
        }
        return vec![effect];
    };
    let root = Place { link, path: WirePath::root() };
    let is_shown = app.panes.iter().any(|pane| pane.place.link == link);
    match state {
        State::Connecting { .. } => Vec::new(),
        State::Live { .. } if is_shown => connected_to(app),
        State::Live { .. } => app.go(Side::Right, root, None),
        State::Lost { .. } => {
            if !is_shown {
                app.pane_mut(Side::Right).leave_for(root, None);
            }
            reconnect(app, link)
        }
    }
}

/// `connme` and `C`: makes a lost connection again, the active pane's first; else tells what there is.
pub(super) fn connect_again(app: &mut App) -> Option<Vec<Effect>> {
    let here = [app.here().place.link, app.there().place.link];
    let is_lost =
        |link: &LinkId| app.server(*link).is_some_and(|server| matches!(server.state, State::Lost { .. }));
    let link = here.into_iter().find(is_lost)?;
    Some(reconnect(app, link))
}

fn reconnect(app: &mut App, link: LinkId) -> Vec<Effect> {
    let Some(server) = app.server_mut(link) else { return Vec::new() };
    let lost_at_ns = match server.state {
        State::Lost { at_ns, .. } => at_ns,
        _ => None,
    };
    server.state = State::Connecting { is_first: false, lost_at_ns };
    let target = server.target.clone();
    app.hint(format!("connecting to {target} again …  Esc gives up"));
    vec![Effect::Connect { link, target }]
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
    let Some(server) = app.server_mut(link) else { return vec![Effect::Disconnect(link)] };
    let is_first = matches!(server.state, State::Connecting { is_first: true, lost_at_ns: None });
    name.clone_into(&mut server.name);
    server.state = State::Live { round_trip_ms };
    app.say(Tone::Good, format!("connected to {name}"));
    let mut effects = Vec::new();
    for side in [Side::Left, Side::Right] {
        if app.pane(side).place.link == link {
            let pane = app.pane_mut(side);
            if is_first || pane.place.path.is_root() && pane.rows.entries.is_empty() {
                pane.arrive_at(Place { link, path: path.clone() });
            }
            effects.extend(app.reload(side));
        }
    }
    effects
}

/// There is no connection, and why.
pub(super) fn not_connected(app: &mut App, link: LinkId, why: &str, at_ns: Option<i64>) {
    let Some(server) = app.server_mut(link) else { return };
    let text = format!("{}: {why}", server.name);
    let is_first = matches!(server.state, State::Connecting { is_first: true, lost_at_ns: None });
    // It was lost when it was lost, not when it could not be made again; and never, where it never was.
    let at_ns = match server.state {
        State::Connecting { lost_at_ns: Some(at_ns), .. } => Some(at_ns),
        _ => at_ns.filter(|_| !is_first),
    };
    server.state = State::Lost { why: why.to_owned(), at_ns };
    app.say(Tone::Bad, text.clone());
    for side in [Side::Left, Side::Right] {
        let pane = app.pane_mut(side);
        if pane.place.link == link && !pane.turn_back() {
            pane.wait_for_connection(format!("{text} — C tries again, :byebye leaves for this machine."));
        }
    }
    if is_first && app.panes.iter().all(|pane| pane.place.link != link) {
        app.servers.retain(|server| server.link != link);
    }
}

/// The server wants a pairing code: who sits here may have it.
pub(super) fn ask_code(app: &mut App, link: LinkId) {
    let Some(server) = app.server(link) else { return };
    let title = format!("Pair with {}", DisplayName::new(server.target.as_bytes()));
    let label = "Code, as `towd pair` there prints it".to_owned();
    let (line, purpose) = (Line::default(), Purpose::Pair(link));
    // Beneath whatever a person is typing; what is typed here by mistake is no code.
    app.dialogs.insert(0, Dialog::Ask(Ask { title, label, line, focus: None, problem: None, purpose }));
}

/// A code was typed.
pub(super) fn pair(app: &mut App, link: LinkId, text: &str) -> Result<Vec<Effect>, String> {
    PairingCode::parse(text).map_err(|bad| bad.to_string())?;
    let target = app.server(link).map(|server| server.target.clone());
    let effect = |target| Effect::Pair { link, target, code: Secret::of(text) };
    Ok(target.map(effect).into_iter().collect())
}

pub(super) fn lost(app: &mut App, link: LinkId, why: String, at_ns: i64) {
    let Some(server) = app.server_mut(link).filter(|server| server.is_live()) else { return };
    let text = format!("{}: {why}; C connects again", server.name);
    server.state = State::Lost { why, at_ns: Some(at_ns) };
    app.say(Tone::Bad, text);
    for pane in &mut app.panes {
        // A listing of the lost link ends with its own word.
        if pane.place.link == link && !pane.loading {
            pane.fault = None;
        }
    }
}

/// Esc: gives up connections that are being made. False where there are none.
pub(super) fn give_up(app: &mut App) -> Option<Vec<Effect>> {
    let is_connecting = |server: &&Server| matches!(server.state, State::Connecting { .. });
    let links: Vec<LinkId> = app.servers.iter().filter(is_connecting).map(|server| server.link).collect();
    for link in &links {
        not_connected(app, *link, "given up", None);
    }
    (!links.is_empty()).then(|| links.into_iter().map(Effect::Disconnect).collect())
}

/// `byebye`: ends the active pane's connection, or the other's. Asks where jobs use it.
pub(super) fn byebye(app: &mut App) -> Vec<Effect> {
    let links = [app.here().place.link, app.there().place.link];
    let Some(link) = links.into_iter().find(|link| *link != LinkId::LOCAL) else {
        app.say(Tone::Plain, "not connected");
        return Vec::new();
    };
    if app.jobs.iter().any(|job| job.uses(link)) {
        app.dialogs.push(Dialog::Stop { then: Then::Bye(link), focus: 0 });
        return Vec::new();
    }
    leave(app, link)
}

/// Ends a connection; panes that show it go to where they last were on this machine.
pub(super) fn leave(app: &mut App, link: LinkId) -> Vec<Effect> {
    let Some(at) = app.servers.iter().position(|server| server.link == link) else { return Vec::new() };
    let server = app.servers.remove(at);
    app.say(Tone::Good, format!("connection to {} closed", server.name));
    if app.clipboard.as_ref().is_some_and(|clipboard| clipboard.link == link) {
        app.clipboard = None;
    }
    let mut effects: Vec<Effect> =
        app.jobs.iter().filter(|job| job.uses(link)).map(|job| Effect::CancelJob(job.id)).collect();
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
