//! What towd does at once, on its state folder, whether one runs or not: a new pairing code, the list of clients, one client less, or
//! one that has another name or may do something else.
//! A towd that runs sees it in the files.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use towpath_secure::Identity;
use zeroize::Zeroizing;

use crate::announce::{code_words, print};
use crate::clients::{Client, ClientName, Clients};
use crate::config::Errand;
use crate::gate::{now, open_folder};
use crate::pairing::{self, Given, Opened};
use crate::rights::{Rights, RightsArgs};
use crate::served;

/// Does it, and prints what came of it.
pub(crate) fn run(errand: Errand, state: &Path) -> anyhow::Result<()> {
    match errand {
        Errand::Pair(name, rights) => pair(state, name, rights),
        Errand::ListClients => list(state),
        Errand::RemoveClient(id) => remove(state, id),
        Errand::RenameClient(id, name) => rename(state, id, name),
        Errand::SetClient(id, rights) => set(state, id, rights),
    }
}

fn pair(state: &Path, name: Option<ClientName>, rights: RightsArgs) -> anyhow::Result<()> {
    let folder = open_folder(state)?;
    if let Some(name) = &name {
        is_free(&Clients::load(&folder)?, name, None)?;
    }
    let names_folder = rights.names_folder();
    let rights = rights.applied_to(&Rights::default());
    if names_folder {
        check(state, &rights)?;
    }
    let identity = Identity::load_or_make(&folder)?;
    let Opened { code, replaces } =
        pairing::open(&folder.lock()?, &identity.hash(), now(), Given { rights, name })?;
    if replaces {
        let _ = writeln!(std::io::stderr(), "towd: {}", pairing::REPLACED);
    }
    // The code alone is what a script reads.
    let _ = writeln!(std::io::stderr(), "{}", code_words());
    print(&Zeroizing::new(format!("{}\n", code.text().as_str())))
}

fn list(state: &Path) -> anyhow::Result<()> {
    let clients = Clients::load(&open_folder(state)?)?;
    if clients.is_empty() {
        return print("no clients are paired; `towd pair` prints a code for one\n");
    }
    let mut lines = vec![["ID", "NAME", "PAIRED", "MAY", "QUOTA", "FOLDER", "KEY"].map(str::to_owned)];
    lines.extend(clients.iter().map(|client| {
        let Client { id, paired, key, rights, .. } = client;
        let (may, paired) = (rights.may().to_string(), crate::log::time_of(*paired));
        [id.to_string(), client.name(), paired, may, rights.quota(), rights.folder(), key.to_string()]
    }));
    print(&in_columns(&lines))
}

fn remove(state: &Path, id: u32) -> anyhow::Result<()> {
    let folder = open_folder(state)?;
    let locked = folder.lock()?;
    let mut clients = Clients::load(&folder)?;
    let Some(gone) = clients.remove(id) else { bail!("{}", no_client(id)) };
    clients.save(&locked)?;
    let last = if clients.is_empty() { "; no client is paired now: `towd pair` prints a code" } else { "" };
    print(&format!("{} is removed; its sessions end{last}\n", gone.name()))
}

fn rename(state: &Path, id: u32, name: ClientName) -> anyhow::Result<()> {
    let folder = open_folder(state)?;
    let locked = folder.lock()?;
    let mut clients = Clients::load(&folder)?;
    is_free(&clients, &name, Some(id))?;
    let said = format!(" is called {name} now\n");
    let Some(before) = clients.rename(id, name) else { bail!("{}", no_client(id)) };
    clients.save(&locked)?;
    print(&(before + &said))
}

fn no_client(id: u32) -> String {
    format!("no client has the number {id}; `towd clients` lists them")
}

/// Fails if another client has this name: a person tells clients apart by it.
fn is_free(clients: &Clients, name: &ClientName, id: Option<u32>) -> anyhow::Result<()> {
    match clients.has_name(name, id) {
        Some(other) => bail!("client {} is called {name} already; choose another name", other.id),
        None => Ok(()),
    }
}

/// Fails if a client's folder is not there; says so if that cannot be known yet.
fn check(state: &Path, rights: &Rights) -> anyhow::Result<()> {
    if !served::check_folder(state, rights)? {
        let _ = writeln!(
            std::io::stderr(),
            "towd: --folder {} is not checked: no towd has served a folder with this state folder yet",
            rights.folder()
        );
    }
    Ok(())
}

fn set(state: &Path, id: u32, rights: RightsArgs) -> anyhow::Result<()> {
    let folder = open_folder(state)?;
    let locked = folder.lock()?;
    let mut clients = Clients::load(&folder)?;
    let Some(client) = clients.of_id(id) else { bail!("{}", no_client(id)) };
    let names_folder = rights.names_folder();
    client.rights = rights.applied_to(&client.rights);
    if names_folder {
        check(state, &client.rights)?;
    }
    let Client { rights, .. } = &*client;
    let quota = rights.quota();
    let quota = if quota == "-" { String::new() } else { format!(", {quota} at most") };
    let (name, may, folder) = (client.name(), rights.may(), rights.folder());
    let said = format!("{name} may {may} in {folder}{quota}; its sessions end\n");
    clients.save(&locked)?;
    print(&said)
}

/// Each column as wide as its widest word; the first to the right, the last as it is.
fn in_columns<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for line in lines {
        for (column, word) in line.iter().enumerate() {
            let _ = match column {
                0 => write!(text, "{word:>0$}", widths[0]),
                last if last + 1 == COLUMNS => write!(text, "  {word}"),
                column => write!(text, "  {word:<0$}", widths[column]),
            };
        }
        text.push('\n');
    }
    text
}
