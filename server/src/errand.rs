//! What towd does at once, on its state folder, whether one runs or not: a new pairing code, the list of clients, one client less.
//! A towd that runs sees it in the files.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use towpath_secure::Identity;
use zeroize::Zeroizing;

use crate::announce::{code_words, print};
use crate::clients::Clients;
use crate::config::Errand;
use crate::gate::{now, open_folder};
use crate::pairing;

/// Does it, and prints what came of it.
pub(crate) fn run(errand: Errand, state: &Path) -> anyhow::Result<()> {
    match errand {
        Errand::Pair => pair(state),
        Errand::ListClients => list(state),
        Errand::RemoveClient(id) => remove(state, id),
    }
}

fn pair(state: &Path) -> anyhow::Result<()> {
    let folder = open_folder(state)?;
    let identity = Identity::load_or_make(&folder)?;
    let code = pairing::open(&folder.lock()?, &identity.hash(), now())?;
    // The code alone is what a script reads.
    let _ = writeln!(std::io::stderr(), "{}", code_words());
    print(&Zeroizing::new(format!("{}\n", code.text().as_str())));
    Ok(())
}

fn list(state: &Path) -> anyhow::Result<()> {
    let clients = Clients::load(&open_folder(state)?)?;
    if clients.is_empty() {
        print("no clients are paired; `towd pair` prints a code for one\n");
        return Ok(());
    }
    let mut text = format!("{:>4}  {:<28}  {:<20}  {}\n", "ID", "NAME", "PAIRED", "KEY");
    for client in clients.iter() {
        let paired = crate::log::time_of(client.paired);
        let _ = writeln!(text, "{:>4}  {:<28}  {paired:<20}  {}", client.id, client.name(), client.key);
    }
    print(&text);
    Ok(())
}

fn remove(state: &Path, id: u32) -> anyhow::Result<()> {
    let folder = open_folder(state)?;
    let locked = folder.lock()?;
    let mut clients = Clients::load(&folder)?;
    let Some(gone) = clients.remove(id) else {
        bail!("no client has the number {id}; `towd clients` lists them")
    };
    clients.save(&locked)?;
    print(&format!("{} is removed; its sessions end\n", gone.name()));
    Ok(())
}
