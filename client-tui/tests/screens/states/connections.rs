//! Connections: made, asked about, lost.

use towpath::app::effect::{Effect, Timer};
use towpath::app::event::Event;
use towpath::config::Colors;
use towpath::model::{LinkId, Outlook, Question, QuestionKind, Side};

use super::{assert_looks, assert_looks_in, copying};
use crate::picture::NOW_NS;
use crate::world::{World, photos};

#[test]
fn a_connection_that_is_lost() {
    let mut world = World::connected();
    world.send(Event::Disconnected {
        link: LinkId(1),
        why: "the connection was lost".to_owned(),
        at_ns: NOW_NS,
    });
    assert_looks(&mut world, "lost");
    assert_looks_in(&mut world, "lost", Colors::True, (160, 45), "");
    world.press("Tab Down");
    assert_looks(&mut world, "lost-trying");
    let why = "connection refused; is towd running?".to_owned();
    world.send(Event::NotConnected { link: LinkId(1), why, outlook: Outlook::MayPass, at_ns: NOW_NS });
    assert_looks(&mut world, "lost-again");
    world.press("Esc");
    assert_looks(&mut world, "lost-active");
}

#[test]
fn connections_that_are_made_and_ended() {
    let mut world = World::new("/home/ann/photos", "/home/ann");
    world.folder(LinkId::LOCAL, "/home/ann/photos", photos());
    world.folder(LinkId::LOCAL, "/home/ann", Vec::new());
    world.begin();
    let effect = world.app.open_on(Side::Right, "tow://box:7171/pictures");
    let Effect::Connect { link, .. } = effect else { panic!("{effect:?}") };
    assert_looks(&mut world, "connecting");
    let why = "connection refused; is towd running?".to_owned();
    world.send(Event::NotConnected { link, why, outlook: Outlook::MayPass, at_ns: NOW_NS });
    assert_looks(&mut world, "not-connected");
    let mut world = copying();
    world.press(":");
    world.write("byebye");
    world.press("Enter");
    assert_looks(&mut world, "byebye-stops-jobs");
}

const HOST_KEY: &str = "The authenticity of host '[127.0.0.1]:2222 ([127.0.0.1]:2222)' can't be established.\nED25519 key fingerprint is \
    SHA256:3yX6yFzNWS7c0cBaSIMR0t2J4pVGzVb0bfFEzWvO1nU.\nThis key is not known by any other names.\nAre you sure you want to continue \
    connecting (yes/no/[fingerprint])?";

#[test]
fn what_ssh_asks() {
    let mut world = World::new("/home/ann/photos", "/home/ann");
    world.begin();
    let effect = world.app.open_on(Side::Right, "ssh://ann@box/srv");
    let Effect::Connect { link, .. } = effect else { panic!("{effect:?}") };
    let mut ticket = 0;
    let mut ask = |world: &mut World, kind, text: &str, is_again| {
        world.send(Event::QuestionOver { ticket });
        ticket += 1;
        let question = Question { ticket, kind, text: text.to_owned(), is_again };
        world.send(Event::Questioned { link, question });
        world.send(Event::Waited(Timer::Hands));
    };
    let passphrase = "Enter passphrase for key '/home/ann/.ssh/id_ed25519':";
    ask(&mut world, QuestionKind::Secret, passphrase, false);
    world.write("open");
    assert_looks(&mut world, "ssh-passphrase");
    ask(&mut world, QuestionKind::Secret, passphrase, true);
    assert_looks_in(&mut world, "ssh-passphrase-again", Colors::True, (80, 24), "");
    ask(&mut world, QuestionKind::Confirm, HOST_KEY, false);
    assert_looks(&mut world, "ssh-host-key");
    ask(&mut world, QuestionKind::Notice, "Confirm user presence for key ED25519-SK SHA256:abc", false);
    assert_looks_in(&mut world, "ssh-touch", Colors::True, (80, 24), "");
    let text = "Neither towd nor this version of tow is on box (Linux x86_64). Copy this tow to \
        ~/.local/share/towpath/bin/tow-0.1.0 there?";
    world.send(Event::InstallOffered { link, system: "Linux x86_64".to_owned(), text: text.to_owned() });
    world.send(Event::Waited(Timer::Hands));
    assert_looks(&mut world, "install");
}

#[test]
fn the_connect_screen() {
    let mut world = World::connected();
    world.app.bookmarks.set("backup", Some("tow://box/"));
    world.app.bookmarks.set("site", Some("ssh://deploy@www.example.org/srv/www/a-rather-long-path/of/it"));
    world.press("'");
    world.send(Event::TargetsKnown {
        recent: vec!["unix:/run/user/1000/towd.sock".to_owned(), "tow://10.0.0.7:7272/photos".to_owned()],
        hosts: vec!["web-1".to_owned(), "web-2".to_owned()],
    });
    world.press("Down Down");
    assert_looks(&mut world, "connect");
    world.press("Esc '");
    world.write("nowhere");
    world.press("Enter");
    assert_looks(&mut world, "connect-nothing-known");
    world.press("Ctrl-u");
    world.write("tow://box/");
    world.press("Ctrl-b");
    assert_looks_in(&mut world, "bookmark", Colors::True, (80, 24), "");
}
