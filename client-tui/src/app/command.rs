//! The one table of commands: what each is called, what it does, and the keys that mean it. Keymap, help and key bar read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a person means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Open,
    Parent,
    OtherPane,
    SwapPanes,
    SameFolder,
    Back,
    Forward,
    GoTo,
    Home,
    Root,
    Mark,
    MarkAll,
    Invert,
    MarkPattern,
    UnmarkPattern,
    Copy,
    Move,
    Rename,
    MakeFolder,
    MakeFile,
    Delete,
    Find,
    FindNext,
    FindPrevious,
    Filter,
    SortName,
    SortSize,
    SortTime,
    SortExtension,
    Hidden,
    Unit,
    Refresh,
    FolderSize,
    CancelJob,
    Connect,
    CommandLine,
    Log,
    Help,
    Suspend,
    Quit,
}

/// A command's row: keys as they are shown, and what it does.
#[derive(Debug)]
pub struct Row {
    pub command: Command,
    pub keys: &'static str,
    pub does: &'static str,
}

const fn row(command: Command, keys: &'static str, does: &'static str) -> Row {
    Row { command, keys, does }
}

/// Keys are parted by blanks; two-key sequences are written together (`gg`).
pub const TABLE: &[Row] = &[
    row(Command::Up, "Up k", "up a row"),
    row(Command::Down, "Down j", "down a row"),
    row(Command::PageUp, "PageUp Ctrl-b", "up a page"),
    row(Command::PageDown, "PageDown Ctrl-f", "down a page"),
    row(Command::HalfUp, "Ctrl-u", "up half a page"),
    row(Command::HalfDown, "Ctrl-d", "down half a page"),
    row(Command::Top, "Home gg", "to the first row"),
    row(Command::Bottom, "End G", "to the last entry"),
    row(Command::Open, "Enter Right l", "open the folder"),
    row(Command::Parent, "Backspace Left h", "to the folder above"),
    row(Command::OtherPane, "Tab", "to the other pane"),
    row(Command::SwapPanes, "X", "swap the panes"),
    row(Command::SameFolder, "=", "the same folder in the other pane"),
    row(Command::Back, "H Alt-Left", "back to where this pane was"),
    row(Command::Forward, "L Alt-Right", "forward again"),
    row(Command::GoTo, "Ctrl-l g-Space", "go to a path"),
    row(Command::Home, "gh", "to the home folder"),
    row(Command::Root, "g/", "to the root"),
    row(Command::Mark, "Space Insert", "mark, and down a row"),
    row(Command::MarkAll, "Ctrl-a", "mark all, or none"),
    row(Command::Invert, "*", "turn the marks round"),
    row(Command::MarkPattern, "+", "mark by pattern"),
    row(Command::UnmarkPattern, "-", "unmark by pattern"),
    row(Command::Copy, "F5 c", "copy to the other pane"),
    row(Command::Move, "F6 M", "move to the other pane"),
    row(Command::Rename, "F2 r", "rename"),
    row(Command::MakeFolder, "F7 a", "make a folder"),
    row(Command::MakeFile, "Shift-F4", "make an empty file"),
    row(Command::Delete, "F8 Delete d D", "delete for good, after a question"),
    row(Command::Find, "/", "find in the list"),
    row(Command::FindNext, "n", "the next one found"),
    row(Command::FindPrevious, "N", "the one before"),
    row(Command::Filter, "f", "show only names that hold a text"),
    row(Command::SortName, ",n", "sort by name; again: the other way round"),
    row(Command::SortSize, ",s", "sort by size"),
    row(Command::SortTime, ",t", "sort by time"),
    row(Command::SortExtension, ",e", "sort by extension"),
    row(Command::Hidden, ".", "show hidden files, or not"),
    row(Command::Unit, "#", "sizes in MB, in fitting units, in bytes"),
    row(Command::Refresh, "Ctrl-r", "read the folder again"),
    row(Command::FolderSize, "z", "how much a folder holds"),
    row(Command::CancelJob, "x", "cancel the newest job"),
    row(Command::Connect, "C", "connect to a server"),
    row(Command::CommandLine, ":", "the command line: connme ls size upload download rm byebye"),
    row(Command::Log, "E", "what was said so far"),
    row(Command::Help, "F1 ?", "this help"),
    row(Command::Suspend, "Ctrl-z", "stop; fg comes back"),
    row(Command::Quit, "F10 q", "quit"),
];

/// What the bar at the bottom shows.
pub const BAR: [(&str, &str); 10] = [
    ("F1", "Help"),
    ("F2", "Rename"),
    ("F5", "Copy"),
    ("F6", "Move"),
    ("F7", "Folder"),
    ("F8", "Delete"),
    ("/", "Find"),
    (":", "Command"),
    ("Tab", "Pane"),
    ("q", "Quit"),
];

/// Keys of `tui.md`'s table that belong to what is still to come.
const LATER: &[&str] = &[
    "F3", "F4", "F9", "i", "e", "O", "A", "R", "u", "s", "S", "m", "'", "t", "w", "|", "Y", "!", "y", "p",
    "v",
];

/// What a key means, after an earlier one that waits for it.
pub fn command_of(pending: Option<char>, key: KeyEvent) -> Option<Command> {
    let name = name_of(key)?;
    let name = match (pending, name.as_str()) {
        (Some('g'), "Space") => "g-Space".to_owned(),
        (Some(first), _) => format!("{first}{name}"),
        (None, _) => name,
    };
    TABLE.iter().find(|row| row.keys.split(' ').any(|key| key == name)).map(|row| row.command)
}

/// Whether the key is one that a later version will know.
pub fn is_for_later(key: KeyEvent) -> bool {
    name_of(key).is_some_and(|name| LATER.contains(&name.as_str()))
}

fn name_of(key: KeyEvent) -> Option<String> {
    let base = match key.code {
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::F(number) => format!("F{number}"),
        KeyCode::Up => "Up".to_owned(),
        KeyCode::Down => "Down".to_owned(),
        KeyCode::Left => "Left".to_owned(),
        KeyCode::Right => "Right".to_owned(),
        KeyCode::PageUp => "PageUp".to_owned(),
        KeyCode::PageDown => "PageDown".to_owned(),
        KeyCode::Home => "Home".to_owned(),
        KeyCode::End => "End".to_owned(),
        KeyCode::Enter => "Enter".to_owned(),
        KeyCode::Backspace => "Backspace".to_owned(),
        KeyCode::Tab => "Tab".to_owned(),
        KeyCode::Insert => "Insert".to_owned(),
        KeyCode::Delete => "Delete".to_owned(),
        _ => return None,
    };
    let is_char = matches!(key.code, KeyCode::Char(_));
    let mut name = String::new();
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        name.push_str("Ctrl-");
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        name.push_str("Alt-");
    }
    if key.modifiers.contains(KeyModifiers::SHIFT) && !is_char {
        name.push_str("Shift-");
    }
    Some(name + &base)
}
