//! Codes that come when something is known already: to a client that is paired, after wrong ones, after another code.

use std::process::Output;

use tokio::time::timeout;

use super::pty::{self, Pty};
use super::{PATIENCE, World, said};

/// `tow WORDS` of `client`, with a code in `TOW_PAIR` if there is one.
fn tow(world: &World, client: &str, words: &[&str], code: Option<&str>) -> Output {
    world.tow(client, words).envs(code.map(|code| ("TOW_PAIR", code))).output().unwrap()
}

fn forget(world: &World, client: &str) {
    let output = tow(world, client, &["forget", world.towd.address()], None);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_code_that_a_paired_client_is_given_is_not_used_and_that_is_told() {
    let world = World::new();
    let used = world.towd.code();
    assert!(world.ls("ann", Some(&used)).status.success());
    // A script has its code before each command.
    assert_eq!(said(&world.ls("ann", Some(&used))), "");
    let code = world.towd.code();
    let output = world.ls("ann", Some(&code));
    assert!(output.status.success(), "{}", said(&output));
    let told = format!("the code in TOW_PAIR is not used; `tow forget {}` first", world.towd.address());
    assert!(said(&output).contains(&told), "{}", said(&output));
    // In the panes too.
    let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &world.state("ann"));
    command.args(["--connect", &world.towd.target("")]);
    command.env("TOW_PAIR", &code);
    command.env("TOW_STATE_DIR", world.state("ann"));
    let mut panes = Pty::start(command, 160, 30);
    panes.wait_for("the code in TOW_PAIR is not used");
    panes.press("q");
    assert_eq!(panes.wait_for_end().exit_code(), 0);
    // Without a code nothing is told, and the code is still open for another client.
    assert_eq!(said(&world.ls("ann", None)), "");
    let output = world.ls("bob", Some(&code));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "");
}

#[tokio::test]
async fn f64_after_tow_forget_a_code_gives_its_name_and_rights_and_is_used_up() {
    let world = World::new();
    let ann = world.dial("ann", Some(&world.towd.code())).await.unwrap();
    let code = world.towd.says(&["pair", "--name", "laptop", "--read-only"]);
    forget(&world, "ann");
    let output = world.ls("ann", Some(code.trim()));
    assert!(output.status.success(), "{}", said(&output));
    let clients = world.towd.says(&["clients"]);
    assert!(clients.contains("laptop") && clients.contains("list,read "), "{clients}");
    assert!(!clients.contains("ann@box") && clients.lines().count() == 2, "{clients}");
    let target = world.towd.target("new");
    let output = tow(&world, "ann", &["mkdir", &target], None);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    // The session that had the old rights has ended, and the code is of no use to another client.
    let fault = timeout(PATIENCE, ann.lost()).await.expect("the session goes on");
    assert!(fault.detail.to_string().contains("changed what this client may do"), "{fault}");
    assert!(said(&world.ls("bob", Some(code.trim()))).contains("is wrong, used"));
    // A code without a name leaves the name.
    let code = world.towd.code();
    forget(&world, "ann");
    assert!(world.ls("ann", Some(&code)).status.success());
    let clients = world.towd.says(&["clients"]);
    assert!(clients.contains("laptop") && !clients.contains("list,read "), "{clients}");
    assert!(tow(&world, "ann", &["mkdir", &target], None).status.success());
}

#[test]
fn a_wrong_code_after_tow_forget_changes_nothing_and_a_used_one_lets_its_client_in_again() {
    let world = World::new();
    let code = world.towd.code();
    assert!(world.ls("ann", Some(&code)).status.success());
    let before = world.towd.says(&["clients"]);
    forget(&world, "ann");
    // As where the server's answer was lost.
    let output = world.ls("ann", Some(&code));
    assert!(output.status.success(), "{}", said(&output));
    forget(&world, "ann");
    let output = world.ls("ann", Some(&world.wrong_code()));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!(world.towd.says(&["clients"]), before);
    // A client that was removed does not come back by its old code.
    let code = world.towd.code();
    assert!(world.ls("ann", Some(&code)).status.success());
    world.towd.says(&["clients", "remove", "1"]);
    assert_eq!(world.ls("ann", Some(&code)).status.code(), Some(3));
    assert!(world.towd.says(&["clients"]).contains("no clients"));
}

#[test]
fn f61_who_is_not_listened_to_is_told_for_how_long() {
    let world = World::with(&["--limit", "pairing_failures=2", "--limit", "pairing_forgiven_seconds=500"]);
    for _ in 0..2 {
        assert!(said(&world.ls("ann", Some(&world.wrong_code()))).contains("is wrong, used"));
    }
    let code = world.towd.code();
    let output = world.ls("ann", Some(&code));
    let told = said(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("takes no pairing code for now: too many wrong codes") && told.contains("try again in")
    );
    assert!(told.contains("run `towd pair` there") && !told.contains("is wrong"), "{told}");
    // In the panes, where the code is typed.
    let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &world.state("ann"));
    command.args(["--connect", &world.towd.target("")]);
    let mut pty = Pty::start(command, 160, 30);
    pty.wait_for("Pair with");
    pty.wait_until("the line", |screen| !screen.hide_cursor());
    pty.press(&format!("{code}\r"));
    pty.wait_for("takes no pairing code for now");
}

#[test]
fn a_second_code_says_that_the_first_is_no_longer_valid() {
    let world = World::new();
    let pair = || {
        let mut command = world.towd.command(&["pair"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        (String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned(), said(&output))
    };
    let told = "the pairing code given before is no longer valid";
    // The first one stands in the announcement.
    let (second, says) = pair();
    assert!(says.contains(told), "{says}");
    assert!(world.ls("ann", Some(&second)).status.success());
    let (third, says) = pair();
    assert!(!says.contains(told), "the second was used: {says}");
    let (fourth, says) = pair();
    assert!(says.contains(told) && third != fourth, "{says}");
}
