//! The connect screen: a line for a target, and below it what it may be: connections of this session with their state, bookmarks, targets
//! of late, hosts of ssh's configuration. What is typed narrows them down.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::dialog::{Ask, Confirm, Dialog, Doomed, Label, Line, Purpose};
use super::effect::Effect;
use super::servers::{self, State};
use super::typed::{is_remote, place_of};
use super::{App, Tone};
use crate::model::LinkId;
use crate::model::bookmarks::is_name;
use crate::model::mistyped::Mistyped;

/// The screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    pub line: Line,
    /// The row that Enter means; none: the line.
    pub cursor: Option<usize>,
    /// Why what is typed will not do.
    pub problem: Option<String>,
    /// All that is offered, in its order.
    all: Vec<Offer>,
}

/// A target that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub from: From,
    /// A bookmark's name.
    pub name: Option<String>,
    pub target: String,
}

/// Where an offer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Session,
    Bookmark,
    Recent,
    Ssh,
}

impl Connect {
    /// What fits what is typed.
    pub fn rows(&self) -> Vec<&Offer> {
        let typed = self.line.text.trim().to_lowercase();
        let fits = |offer: &&Offer| {
            offer.target.to_lowercase().contains(&typed)
                || offer.name.as_ref().is_some_and(|name| {
                    typed.starts_with(&format!("{name}:")) || name.to_lowercase().contains(&typed)
                })
        };
        self.all.iter().filter(fits).collect()
    }

    fn chosen(&self) -> Option<Offer> {
        self.rows().get(self.cursor?).map(|offer| (*offer).clone())
    }

    /// The cursor is on a row that shows, or on the line.
    fn settle(&mut self) {
        let rows = self.rows().len();
        self.cursor = self.cursor.filter(|_| rows > 0).map(|row| row.min(rows - 1));
    }
}

impl App {
    /// The screen at the start.
    pub fn open_connect(&mut self) -> Vec<Effect> {
        open(self)
    }

    /// How the connection to a target is, where there is or was one in this session.
    pub fn state_of(&self, target: &str) -> Option<&State> {
        let target = self.bookmarks.expanded(target);
        servers::known(self, &target).map(|(server, _)| &server.state)
    }
}

/// Opens the screen; what is known of targets elsewhere comes a moment later.
pub(super) fn open(app: &mut App) -> Vec<Effect> {
    let screen = Connect { all: offers(app, Vec::new()), ..Connect::default() };
    app.dialogs.push(Dialog::Connect(screen));
    vec![Effect::KnownTargets]
}

/// Targets of late, and the hosts that ssh knows.
pub(super) fn known(app: &mut App, recent: Vec<String>, hosts: &[String]) {
    let offer = |from| move |target| Offer { from, name: None, target };
    let hosts = hosts.iter().map(|host| format!("ssh://{host}")).map(offer(From::Ssh));
    show(app, recent.into_iter().map(offer(From::Recent)).chain(hosts).collect());
}

/// What is known elsewhere, beside what is known here.
fn show(app: &mut App, elsewhere: Vec<Offer>) {
    let all = offers(app, elsewhere);
    if let Some(screen) = screen(app) {
        screen.all = all;
        screen.settle();
    }
}

fn screen(app: &mut App) -> Option<&mut Connect> {
    app.dialogs.iter_mut().find_map(|dialog| match dialog {
        Dialog::Connect(screen) => Some(screen),
        _ => None,
    })
}

fn offers(app: &App, elsewhere: Vec<Offer>) -> Vec<Offer> {
    let bookmark = |(name, target): (&str, &str)| Offer {
        from: From::Bookmark,
        name: Some(name.to_owned()),
        target: target.to_owned(),
    };
    let mut offers: Vec<Offer> = app.bookmarks.iter().map(bookmark).collect();
    let session = app.servers.iter().map(|server| Offer {
        from: From::Session,
        name: None,
        target: server.target.clone(),
    });
    for offer in session.chain(elsewhere) {
        if !offers
            .iter()
            .any(|known| known.target.trim_end_matches('/') == offer.target.trim_end_matches('/'))
        {
            offers.push(offer);
        }
    }
    offers.sort_by_key(|offer| match offer.from {
        From::Session => 0,
        From::Bookmark => 1,
        From::Recent => 2,
        From::Ssh => 3,
    });
    offers
}

/// A key for the screen.
pub(super) fn pressed(app: &mut App, key: KeyEvent) -> Vec<Effect> {
    let Some(Dialog::Connect(screen)) = app.dialogs.last_mut() else { return Vec::new() };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => drop(app.dialogs.pop()),
        KeyCode::Down => {
            screen.cursor = Some(screen.cursor.map_or(0, |row| row + 1));
            screen.settle();
        }
        KeyCode::Up => screen.cursor = screen.cursor.and_then(|row| row.checked_sub(1)),
        KeyCode::Tab => {
            let offered = screen.chosen().or_else(|| screen.rows().first().map(|offer| (*offer).clone()));
            if let Some(offer) = offered {
                screen.line = Line::new(offer.name.map_or(offer.target, |name| format!("{name}:")));
                (screen.cursor, screen.problem) = (None, None);
            }
        }
        KeyCode::Enter => return enter(app),
        KeyCode::Char('d') if control => return disconnect(app),
        KeyCode::Char('b') if control => bookmark(app),
        KeyCode::Delete if screen.cursor.is_some() => return forget(app),
        _ => {
            if screen.line.key(key) {
                (screen.cursor, screen.problem) = (None, None);
            }
        }
    }
    Vec::new()
}

pub(super) fn pasted(app: &mut App, text: &str) {
    if let Some(Dialog::Connect(screen)) = app.dialogs.last_mut() {
        screen.line.paste(text);
        (screen.cursor, screen.problem) = (None, None);
    }
}

/// A click on a row; a second one on the same connects.
pub(super) fn clicked(app: &mut App, row: usize) -> Vec<Effect> {
    let Some(Dialog::Connect(screen)) = app.dialogs.last_mut() else { return Vec::new() };
    if screen.cursor == Some(row) {
        return enter(app);
    }
    screen.cursor = Some(row);
    screen.settle();
    Vec::new()
}

/// What the row or the line means, as a target.
fn meant(app: &App) -> Result<String, String> {
    let Some(Dialog::Connect(screen)) = app.dialogs.last() else { return Err(String::new()) };
    if let Some(offer) = screen.chosen() {
        return Ok(offer.target);
    }
    let typed = screen.line.text.trim();
    let target = app.bookmarks.expanded(typed);
    if is_remote(&target) || target != typed || typed.starts_with(['/', '~', '.']) {
        return Ok(target);
    }
    let host = format!("ssh://{typed}");
    let fitting = screen.rows();
    match screen.all.iter().find(|offer| offer.target == host) {
        Some(offer) => Ok(offer.target.clone()),
        None if typed.is_empty() => Err("no target; ↓ lists bookmarks and hosts".to_owned()),
        // The only one that fits is the one that is meant.
        None if fitting.len() == 1 => Ok(fitting[0].target.clone()),
        None if fitting.len() > 1 => Err(format!("{} match: ↓ chooses one", fitting.len())),
        None => Err(match Mistyped::of(typed.as_bytes()) {
            Some(mistyped) => format!("write {}", mistyped.form()),
            // With a user it can only be ssh.
            None if typed.contains('@') => format!("write ssh://{typed}/"),
            None => format!("write tow://{typed}/ for a towd, ssh://{typed}/ for ssh"),
        }),
    }
}

fn refuse(app: &mut App, why: String) -> Vec<Effect> {
    if let Some(Dialog::Connect(screen)) = app.dialogs.last_mut() {
        screen.problem = Some(why);
    }
    Vec::new()
}

fn enter(app: &mut App) -> Vec<Effect> {
    let target = match meant(app) {
        Ok(target) => target,
        Err(why) => return refuse(app, why),
    };
    let side = app.active;
    if is_remote(&target) {
        app.dialogs.pop();
        return servers::connect(app, side, &target);
    }
    match place_of(app, &app.here().place.clone(), LinkId::LOCAL, target.as_bytes()) {
        Ok(place) => {
            app.dialogs.pop();
            app.go(side, place, None)
        }
        Err(why) => refuse(app, why),
    }
}

fn disconnect(app: &mut App) -> Vec<Effect> {
    let link = meant(app).ok().and_then(|target| servers::known(app, &target).map(|(server, _)| server.link));
    match link {
        Some(link) => servers::byebye_to(app, link),
        None => refuse(app, "not connected to it".to_owned()),
    }
}

fn bookmark(app: &mut App) {
    match meant(app) {
        Ok(target) => ask_name(app, target),
        Err(why) => drop(refuse(app, why)),
    }
}

/// `m`: where the active pane is.
pub(super) fn bookmark_here(app: &mut App) {
    let place = app.here().place.clone();
    let target = match app.server(place.link) {
        Some(server) if server.name.starts_with("unix:") => {
            format!("{}?path={}", server.name, place.path.display())
        }
        _ => app.place_text(&place),
    };
    ask_name(app, target);
}

/// Asks what it is to be called; its last name is offered.
fn ask_name(app: &mut App, target: String) {
    let last = target.trim_end_matches('/').rsplit(['/', ':', '=']).next().unwrap_or_default();
    let offered: String = last.chars().map(|c| if is_name(&c.to_string()) { c } else { '_' }).collect();
    let line = Line::offered(if is_name(&offered) { offered } else { String::new() });
    let label = Label::of("Name for ", &target, "");
    app.dialogs.push(Dialog::Ask(Ask::new("Bookmark", label, line, Purpose::Bookmark(target))));
}

/// A name was typed.
pub(super) fn keep(app: &mut App, name: &str, target: &str) -> Result<Vec<Effect>, String> {
    if !is_name(name) {
        return Err("a name has letters, digits, - and _ only".to_owned());
    }
    let other = app.bookmarks.target(name).filter(|known| *known != target).map(str::to_owned);
    if let Some(other) = other {
        let words = format!("{name} is {other} already: type another name, or Enter again to replace it");
        if !is_told(app, &words) {
            return Err(words);
        }
    }
    app.bookmarks.set(name, Some(target));
    app.say(Tone::Good, format!("bookmark {name} added: {target}"));
    refresh(app);
    Ok(vec![Effect::KeepBookmark { name: name.to_owned(), target: Some(target.to_owned()) }])
}

/// Returns whether the window shows exactly these words: then Enter confirms.
fn is_told(app: &App, words: &str) -> bool {
    matches!(app.dialogs.last(), Some(Dialog::Ask(Ask { problem: Some(told), .. })) if told == words)
}

/// Takes a bookmark out, or forgets a target of late.
fn forget(app: &mut App) -> Vec<Effect> {
    let Some(Dialog::Connect(screen)) = app.dialogs.last_mut() else { return Vec::new() };
    let Some(offer) = screen.chosen() else { return Vec::new() };
    if !matches!(offer.from, From::Bookmark | From::Recent) {
        return refuse(app, "only bookmarks and recent targets can be removed here".to_owned());
    }
    if let Some(name) = offer.name {
        let what = Doomed::Bookmark { name, target: offer.target };
        app.dialogs.push(Dialog::Confirm(Confirm { what, focus: 0 }));
        return Vec::new();
    }
    screen.all.retain(|known| *known != offer);
    screen.settle();
    vec![Effect::ForgetTarget(offer.target)]
}

/// It is agreed that a bookmark goes.
pub(super) fn remove_bookmark(app: &mut App, name: String, target: &str) -> Vec<Effect> {
    app.bookmarks.set(&name, None);
    app.say(Tone::Good, format!("bookmark {name} removed: {target}"));
    refresh(app);
    vec![Effect::KeepBookmark { name, target: None }]
}

/// Bookmarks have changed.
fn refresh(app: &mut App) {
    let Some(screen) = screen(app) else { return };
    let all = std::mem::take(&mut screen.all);
    show(app, all.into_iter().filter(|offer| matches!(offer.from, From::Recent | From::Ssh)).collect());
}
