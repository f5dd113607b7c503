//! `tow shell`: a prompt with the seven words of old, for people and for piped input.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::atomic::AtomicBool;

use tokio::signal::unix::{SignalKind, signal};
use towpath_protocol::request::{Depth, Direction, Hidden, SortKey};

use super::args::{ConflictArgs, OutputArgs, ShellArgs};
use super::copy::{self, Ended, Options};
use super::exit::{Exit, Failure};
use super::lines::{Before, Lines};
use super::ls::{self, Look, Unit};
use super::output::{self, Output, write_line};
use super::place::{Place, Places};
use super::rm;
use super::size_command;
use crate::model::size::{human, megabytes_and_bytes};
use crate::model::words;

/// Every word: what follows it, and what it does. Help reads it, and so does completion.
pub(super) const WORDS: [(&str, &str, &str); 8] = [
    ("connme", "[TARGET]", "connects, or says to what it is connected"),
    ("ls", "[PATH]", "lists names and sizes"),
    ("size", "PATH", "says how many megabytes"),
    ("upload", "PATH… [FOLDER/]", "copies from here to the server"),
    ("download", "PATH… [FOLDER/]", "copies from the server to here"),
    ("rm", "PATH…", "removes, after a question for each"),
    ("help", "", "shows the words"),
    ("byebye", "", "ends the connection and leaves"),
];

/// What the prompt knows between two lines.
struct Shell<'a> {
    places: &'a mut Places,
    /// Where `connme` without a word goes: the last target that was named.
    target: Option<OsString>,
    connected: Option<Place>,
    interactive: bool,
    yes: bool,
    conflicts: ConflictArgs,
}

enum Next {
    Line,
    Leave,
}

/// Reads words until `byebye` or the end of the input.
pub(super) async fn run(args: &ShellArgs, places: &mut Places) -> Result<Exit, Failure> {
    let interactive = io::stdin().is_terminal();
    let mut shell = Shell {
        places,
        target: args.connect.clone(),
        connected: None,
        interactive,
        yes: args.yes,
        conflicts: args.conflicts,
    };
    if args.connect.is_some() {
        shell.connect(&[]).await?;
    }
    let mut lines = Lines::new(interactive, shell.places.here())?;
    let before = Before::now();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut exit = Exit::Done;
    loop {
        lines.connected_to(shell.connected.clone());
        let reading = lines.next(shell.prompt());
        let (back, line) = tokio::select! {
            read = reading => read?,
            // The editor takes an interrupt itself, as the end of a line.
            () = super::interrupted(), if !interactive => return shell.leave(Exit::Interrupted).await,
            _ = terminated.recv() => {
                before.give_back();
                return shell.leave(Exit::Interrupted).await;
            }
        };
        lines = back;
        let Some(line) = line else { break };
        match shell.obey_unless_interrupted(&line).await {
            Ok(Next::Line) => {}
            Ok(Next::Leave) => break,
            Err(failure) => {
                if !failure.message.is_empty() {
                    output::error(&failure.message);
                }
                exit = Exit::Partly;
            }
        }
    }
    shell.leave(exit).await
}

impl Shell<'_> {
    async fn leave(mut self, exit: Exit) -> Result<Exit, Failure> {
        if self.connected.take().is_some() {
            self.places.bye().await;
            write_line("Connection closed.")?;
        }
        Ok(exit)
    }

    /// An interrupt ends the word and not the prompt. A transfer takes it itself, to leave nothing half.
    async fn obey_unless_interrupted(&mut self, line: &[u8]) -> Result<Next, Failure> {
        let words = words::split(line).map_err(|error| Failure::usage(error.to_string()))?;
        let Some((word, operands)) = words.split_first() else { return Ok(Next::Line) };
        let word = word.to_string_lossy().to_lowercase();
        let is_transfer = matches!(word.as_str(), "upload" | "download");
        tokio::select! {
            next = self.obey(&word, operands) => next,
            () = super::interrupted(), if !is_transfer => Err(Failure::usage(format!("{word}: interrupted"))),
        }
    }

    fn prompt(&self) -> String {
        self.connected.as_ref().map_or_else(|| "tow> ".to_owned(), |place| format!("{}> ", place.typed))
    }

    async fn obey(&mut self, word: &str, operands: &[OsString]) -> Result<Next, Failure> {
        match word {
            "connme" => self.connect(operands).await?,
            "ls" => self.list(operands).await?,
            "size" => self.size(operands).await?,
            "upload" => self.upload(operands).await?,
            "download" => self.download(operands).await?,
            "rm" => self.remove(operands).await?,
            "help" | "?" => help()?,
            "byebye" | "exit" | "quit" => return Ok(Next::Leave),
            other => {
                let shown = towpath_protocol::display::DisplayName::new(other.as_bytes()).to_string();
                return Err(Failure::usage(match meant(other) {
                    Some(meant) => format!("{shown}: no such word; write {meant}"),
                    None => format!("{shown}: no such word; help lists them"),
                }));
            }
        }
        Ok(Next::Line)
    }

    async fn connect(&mut self, operands: &[OsString]) -> Result<(), Failure> {
        if operands.is_empty()
            && let Some(place) = self.connected.as_ref().filter(|place| !place.link.is_lost())
        {
            return Ok(write_line(&format!("Connected to {}.", place.typed))?);
        }
        let Some(target) = operands.first().or(self.target.as_ref()).cloned() else {
            return Err(Failure::usage(
                "connme: not connected; connme TARGET connects, e.g. connme tow://127.0.0.1:7171/",
            ));
        };
        // The session that stands stays until the new one does.
        let place = match self.places.resolve(&target).await {
            Ok(place) => place,
            Err(failure) => return Err(self.not_connected(target, failure)),
        };
        self.target = Some(target);
        self.places.bye_but(&place.link).await;
        let name = &place.link.welcome().root_name;
        write_line(&format!("Connected to {} ({name}).", place.typed))?;
        self.connected = Some(place);
        Ok(())
    }

    /// The failure, and the session that stands all the same; without one the target is the one to try again.
    fn not_connected(&mut self, target: OsString, mut failure: Failure) -> Failure {
        match self.connected.as_ref().filter(|place| !place.link.is_lost()) {
            Some(place) => {
                failure.message = format!("{}; still connected to {}", failure.message, place.typed);
            }
            None => self.target = Some(target),
        }
        failure
    }

    /// What a word means on the server, relative to where the session began.
    fn place(&self, operand: Option<&OsString>) -> Result<Place, Failure> {
        let there = self.connected.as_ref();
        let there = there.ok_or_else(|| Failure::usage("not connected; connme TARGET connects"))?;
        operand.map_or_else(|| Ok(there.clone()), |operand| there.below(operand))
    }

    async fn list(&self, operands: &[OsString]) -> Result<(), Failure> {
        let order = (SortKey::Name, Direction::Ascending, Hidden::Shown);
        let look = Look { unit: Unit::Megabytes, long: false };
        ls::list(&self.place(operands.first())?, order, look, Output::new(OutputArgs::default())).await
    }

    async fn size(&self, operands: &[OsString]) -> Result<(), Failure> {
        needs_operand("size", operands)?;
        for operand in operands {
            let totals = size_command::measure(&self.place(Some(operand))?).await?;
            write_line(&megabytes_and_bytes(totals.bytes))?;
        }
        Ok(())
    }

    async fn upload(&mut self, operands: &[OsString]) -> Result<(), Failure> {
        needs_operand("upload", operands)?;
        let (sources, folder) = with_folder(operands);
        let destination = match folder {
            Some(folder) => self.place(Some(folder))?,
            None => self.place(None)?.into_folder(),
        };
        let mut places = Vec::new();
        for source in sources {
            places.push(self.places.resolve_named_local(source).await?);
        }
        self.copy(places, destination).await
    }

    async fn download(&mut self, operands: &[OsString]) -> Result<(), Failure> {
        needs_operand("download", operands)?;
        let (sources, folder) = with_folder(operands);
        let sources = sources.iter().map(|source| self.place(Some(source))).collect::<Result<_, _>>()?;
        let here = OsString::from("./");
        let destination = self.places.resolve_named_local(folder.unwrap_or(&here)).await?;
        self.copy(sources, destination).await
    }

    async fn copy(&self, sources: Vec<Place>, destination: Place) -> Result<(), Failure> {
        let options = Options { conflicts: self.conflicts, ..Options::default() };
        let output = Output::new(OutputArgs::default());
        let Ended { summary, exit, kept } = copy::copy(sources, destination, options, output).await?;
        let (bytes, counts) = (human(summary.bytes), copy::counts(&summary, kept));
        write_line(&format!("{bytes} in {:.2} s{counts}.", summary.seconds))?;
        match exit {
            Exit::Done => Ok(()),
            exit => Err(Failure { exit, message: String::new() }),
        }
    }

    async fn remove(&self, operands: &[OsString]) -> Result<(), Failure> {
        needs_operand("rm", operands)?;
        if !self.yes && !self.interactive {
            return Err(Failure::usage(
                "rm: not a terminal: start tow shell with --yes to remove without confirmation",
            ));
        }
        let mut failed = None;
        for operand in operands {
            let place = self.place(Some(operand))?;
            match rm::remove(&place, Depth::Tree, self.yes, &AtomicBool::new(false)).await {
                Ok(Some(totals)) => {
                    Output::new(OutputArgs::default()).faults(&totals, &place)?;
                    write_line(&format!("removed {}", place.typed))?;
                    if totals.failed > 0 {
                        failed = Some(Failure { exit: Exit::Partly, message: String::new() });
                    }
                }
                Ok(None) => write_line(&format!("{}: nothing removed", place.typed))?,
                Err(failure) => {
                    output::error(&failure.message);
                    failed = Some(Failure { exit: failure.exit, message: String::new() });
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn needs_operand(word: &str, operands: &[OsString]) -> Result<(), Failure> {
    if !operands.is_empty() {
        return Ok(());
    }
    let usage = usage(word).unwrap_or_default();
    Err(Failure::usage(format!("{word}: which PATH? write {usage}")))
}

/// A word and what follows it.
fn usage(word: &str) -> Option<String> {
    let (word, operands, _) = WORDS.iter().find(|(known, ..)| *known == word)?;
    Some(format!("{word} {operands}"))
}

/// How a word of other programs is written here.
fn meant(word: &str) -> Option<String> {
    let here = match word {
        "get" | "mget" => "download",
        "put" | "mput" => "upload",
        "dir" | "list" => "ls",
        "du" => "size",
        "del" | "delete" => "rm",
        "open" | "connect" => "connme",
        "bye" => "byebye",
        "cd" => return Some("paths from where the session began, e.g. ls photos/2026".to_owned()),
        _ => return None,
    };
    usage(here)
}

/// The operands, and the last one apart where it is written as a folder (`/` at its end) and something comes before it.
fn with_folder(operands: &[OsString]) -> (&[OsString], Option<&OsString>) {
    match operands.split_last() {
        Some((last, sources)) if !sources.is_empty() && last.as_encoded_bytes().ends_with(b"/") => {
            (sources, Some(last))
        }
        _ => (operands, None),
    }
}

fn help() -> io::Result<()> {
    WORDS.iter().try_for_each(|(word, operands, does)| {
        write_line(&format!("  {:<26}{does}", format!("{word} {operands}")))
    })
}
