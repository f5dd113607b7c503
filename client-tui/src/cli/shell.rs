//! `tow shell`: a prompt with the seven words of old, for people and for piped input.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal};

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use towpath_protocol::request::{Depth, Direction, Hidden, SortKey};

use super::args::{ConflictArgs, OutputArgs, ShellArgs};
use super::copy::{self, Ended, Options};
use super::exit::{Exit, Failure};
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
    let mut lines = Lines::new(interactive)?;
    let mut exit = Exit::Done;
    loop {
        let (back, line) = lines.next(shell.prompt()).await?;
        lines = back;
        let Some(line) = line else { break };
        match shell.obey(&line).await {
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
    if shell.connected.take().is_some() {
        shell.places.bye().await;
        write_line("Connection closed.")?;
    }
    Ok(exit)
}

impl Shell<'_> {
    fn prompt(&self) -> String {
        self.connected.as_ref().map_or_else(|| "tow> ".to_owned(), |place| format!("{}> ", place.typed))
    }

    async fn obey(&mut self, line: &[u8]) -> Result<Next, Failure> {
        let words = words::split(line).map_err(|error| Failure::usage(error.to_string()))?;
        let Some((word, operands)) = words.split_first() else { return Ok(Next::Line) };
        match word.to_string_lossy().to_lowercase().as_str() {
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
                return Err(Failure::usage(format!("{shown}: no such word; help lists them")));
            }
        }
        Ok(Next::Line)
    }

    async fn connect(&mut self, operands: &[OsString]) -> Result<(), Failure> {
        if let Some(target) = operands.first() {
            self.target = Some(target.clone());
        } else if let Some(place) = self.connected.as_ref().filter(|place| !place.link.is_lost()) {
            return Ok(write_line(&format!("Connected to {}.", place.typed))?);
        }
        let Some(target) = &self.target else {
            return Err(Failure::usage(
                "connme: not connected; connme TARGET connects, e.g. connme tow://127.0.0.1:7171/",
            ));
        };
        self.connected = None;
        self.places.bye().await;
        let place = self.places.resolve(target).await?;
        let name = &place.link.welcome().root_name;
        write_line(&format!("Connected to {} ({name}).", place.typed))?;
        self.connected = Some(place);
        Ok(())
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
            places.push(self.places.resolve_local(source)?);
        }
        self.copy(places, destination).await
    }

    async fn download(&mut self, operands: &[OsString]) -> Result<(), Failure> {
        needs_operand("download", operands)?;
        let (sources, folder) = with_folder(operands);
        let sources = sources.iter().map(|source| self.place(Some(source))).collect::<Result<_, _>>()?;
        let here = OsString::from("./");
        let destination = self.places.resolve_local(folder.unwrap_or(&here))?;
        self.copy(sources, destination).await
    }

    async fn copy(&self, sources: Vec<Place>, destination: Place) -> Result<(), Failure> {
        let options = Options { conflicts: self.conflicts, ..Options::default() };
        let output = Output::new(OutputArgs::default());
        let Ended { summary, exit } = copy::copy(sources, destination, options, output).await?;
        write_line(&format!("{} in {:.2} s.", human(summary.bytes), summary.seconds))?;
        match exit {
            Exit::Done => Ok(()),
            exit => Err(Failure { exit, message: String::new() }),
        }
    }

    async fn remove(&self, operands: &[OsString]) -> Result<(), Failure> {
        needs_operand("rm", operands)?;
        if !self.yes && !self.interactive {
            return Err(Failure::usage(
                "rm: nobody is there to ask; start tow shell with --yes to remove without a question",
            ));
        }
        let mut failed = None;
        for operand in operands {
            let place = self.place(Some(operand))?;
            match rm::remove(&place, Depth::Tree, self.yes).await {
                Ok(Some(totals)) => {
                    totals.faults.iter().for_each(|fault| output::error(&fault.to_string()));
                    write_line(&format!("removed {}", place.typed))?;
                    if totals.failed > 0 {
                        failed = Some(Failure { exit: Exit::Partly, message: String::new() });
                    }
                }
                Ok(None) => write_line(&format!("kept {}", place.typed))?,
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
    if operands.is_empty() { Err(Failure::usage(format!("{word}: which PATH?"))) } else { Ok(()) }
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

/// Lines from a person, with history and editing, or from a pipe.
enum Lines {
    Person(Box<DefaultEditor>),
    Pipe,
}

impl Lines {
    fn new(interactive: bool) -> Result<Self, Failure> {
        if !interactive {
            return Ok(Self::Pipe);
        }
        let editor =
            DefaultEditor::new().map_err(|error| Failure::usage(format!("the terminal: {error}")))?;
        Ok(Self::Person(Box::new(editor)))
    }

    /// The next line, read on a thread of its own so that the session stays alive meanwhile; none at the end.
    async fn next(self, prompt: String) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let read = tokio::task::spawn_blocking(move || self.read(&prompt)).await;
        read.map_err(|error| Failure::usage(format!("reading a line: {error}")))?
    }

    fn read(mut self, prompt: &str) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let line = match &mut self {
            Self::Person(editor) => loop {
                match editor.readline(prompt) {
                    Ok(line) => {
                        let _ = editor.add_history_entry(&line);
                        break Some(line.into_bytes());
                    }
                    Err(ReadlineError::Interrupted) => {}
                    Err(ReadlineError::Eof) => break None,
                    Err(error) => return Err(Failure::usage(format!("reading a line: {error}"))),
                }
            },
            Self::Pipe => {
                let mut line = Vec::new();
                let bytes = io::stdin().lock().read_until(b'\n', &mut line);
                let bytes = bytes.map_err(|error| Failure::usage(format!("reading a line: {error}")))?;
                (bytes > 0).then_some(line)
            }
        };
        Ok((self, line))
    }
}
