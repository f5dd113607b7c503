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
    Enter,
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
    Range,
    ExtendUp,
    ExtendDown,
    MarkAll,
    Invert,
    MarkPattern,
    UnmarkPattern,
    Copy,
    Move,
    Yank,
    Cut,
    Paste,
    Rename,
    MakeFolder,
    Make,
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
    Jobs,
    Answer,
    Connect,
    Bookmarks,
    Bookmark,
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
    row(Command::Open, "Enter", "open the folder"),
    row(Command::Enter, "Right l", "into the folder, never up"),
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
    row(Command::Range, "v", "mark with the cursor; again: stop"),
    row(Command::ExtendUp, "Shift-Up", "mark, and up a row"),
    row(Command::ExtendDown, "Shift-Down", "mark, and down a row"),
    row(Command::MarkAll, "Ctrl-a", "mark all, or none where all are"),
    row(Command::Invert, "*", "invert the marks"),
    row(Command::MarkPattern, "+", "mark by pattern"),
    row(Command::UnmarkPattern, "-", "unmark by pattern"),
    row(Command::Copy, "F5 c", "copy to the other pane"),
    row(Command::Move, "F6 M", "move to the other pane"),
    row(Command::Yank, "y", "yank, to paste a copy elsewhere"),
    row(Command::Cut, "x", "cut, to paste it elsewhere"),
    row(Command::Paste, "p", "paste here what was yanked or cut"),
    row(Command::Rename, "F2 r", "rename"),
    row(Command::MakeFolder, "F7", "make a folder"),
    row(Command::Make, "a", "make a file; a folder if the name ends in /"),
    row(Command::MakeFile, "Shift-F4", "make an empty file"),
    row(Command::Delete, "F8 Delete d D", "delete permanently, after confirmation"),
    row(Command::Find, "/", "find in the list"),
    row(Command::FindNext, "n", "the next one found"),
    row(Command::FindPrevious, "N", "the one before"),
    row(Command::Filter, "f", "filter by name"),
    row(Command::SortName, ",n", "sort by name; again: reverse"),
    row(Command::SortSize, ",s", "sort by size"),
    row(Command::SortTime, ",t", "sort by time"),
    row(Command::SortExtension, ",e", "sort by extension"),
    row(Command::Hidden, ".", "show or hide hidden files"),
    row(Command::Unit, "#", "sizes in MB, in fitting units, in bytes"),
    row(Command::Refresh, "Ctrl-r", "read the folder again"),
    row(Command::FolderSize, "z Shift-Space", "how much a folder holds"),
    row(Command::Jobs, "w", "the jobs; in there p pauses, x cancels, R retries"),
    row(Command::Answer, "o", "open what needs an answer"),
    row(Command::Connect, "C", "connect to a server, or again"),
    row(Command::Bookmark, "m", "bookmark where this pane is"),
    row(Command::Bookmarks, "'", "to a bookmark or recent target"),
    row(Command::CommandLine, ":", "the command line: connme ls size upload download rm byebye"),
    row(Command::Log, "E", "message log"),
    row(Command::Help, "F1 ?", "this help"),
    row(Command::Suspend, "Ctrl-z", "suspend; fg resumes"),
    row(Command::Quit, "F10 q", "quit"),
];

/// A word of the bar at the bottom.
#[derive(Debug)]
pub struct Key {
    pub key: &'static str,
    pub word: &'static str,
    pub command: Command,
    /// Where there is little room the highest leave first.
    pub rank: u8,
}

const fn key(key: &'static str, word: &'static str, command: Command, rank: u8) -> Key {
    Key { key, word, command, rank }
}

/// What the bar at the bottom shows.
pub const BAR: [Key; 10] = [
    key("F1", "Help", Command::Help, 0),
    key("F2", "Rename", Command::Rename, 6),
    key("F5", "Copy", Command::Copy, 1),
    key("F6", "Move", Command::Move, 3),
    key("F7", "Folder", Command::MakeFolder, 4),
    key("F8", "Delete", Command::Delete, 2),
    key("/", "Find", Command::Find, 8),
    key(":", "Command", Command::CommandLine, 5),
    key("w", "Jobs", Command::Jobs, 7),
    key("q", "Quit", Command::Quit, 0),
];

/// Keys of commands that are still to come.
const LATER: &str = "F3 i F4 e Ctrl-q O A R u s Alt-F7 S t Ctrl-w [ ] 1 2 3 4 5 6 7 8 9 | Y ! F9";

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
    name_of(key).is_some_and(|name| LATER.split(' ').any(|key| key == name))
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
    // The case of a letter says already whether Shift is down.
    let is_char = matches!(key.code, KeyCode::Char(c) if c != ' ');
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        let mut keys: Vec<&str> =
            TABLE.iter().flat_map(|row| row.keys.split(' ')).chain(LATER.split(' ')).collect();
        keys.sort_unstable();
        let twice: Vec<_> = keys.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn every_word_of_the_bar_is_a_key_of_its_command() {
        for Key { key, command, .. } in BAR {
            let row = TABLE.iter().find(|row| row.command == command).unwrap();
            assert!(row.keys.split(' ').any(|known| known == key), "{key}");
        }
    }

    #[test]
    fn keys_of_old_terminals_stay_unbound() {
        for key in ["Ctrl-h", "Ctrl-i", "Ctrl-m", "Ctrl-j"] {
            assert!(!TABLE.iter().any(|row| row.keys.split(' ').any(|known| known == key)), "{key}");
        }
    }
}
