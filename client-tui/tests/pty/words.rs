//! The seven words in the line at the bottom.

use crate::pty::Pty;
use crate::stage::{self, Folders, holds, quit, wait_for_disk, write};
use crate::towd::Towd;

#[test]
fn the_seven_words_do_what_they_say() {
    let folders = Folders::new();
    write(folders.left("up.txt"), "goes up");
    write(folders.right("down.txt"), "comes down");
    let towd = Towd::start(&folders.right(""), &folders.state(), &[]);
    let mut pty = Pty::start(folders.tow(&[]), 120, 40);
    pty.wait_for("up.txt");
    let say = |pty: &mut Pty, line: &str, answer: &str| {
        stage::say(pty, line);
        pty.wait_for(answer);
    };
    say(&mut pty, "connme", "not connected; connme TARGET connects");
    say(&mut pty, &format!("connme {}", towd.target("")), "✓ connected to unix:");
    pty.wait_for("down.txt");
    say(&mut pty, "ls", "✓ 1 item, 0.00001 MB in unix:");
    say(&mut pty, "connme", "✓ connected to unix:");
    say(&mut pty, "upload up.txt", "✓ copied and verified: 1 file");
    assert!(holds(folders.right("up.txt"), "goes up"));
    say(&mut pty, "size up.txt", "✓ up.txt: 0.000007 MB (7 bytes)");
    say(&mut pty, "download down.txt", "✓ copied and verified: 1 file");
    wait_for_disk(&pty, "down.txt here", || holds(folders.left("down.txt"), "comes down"));
    say(&mut pty, "rm up.txt down.txt", "Deleted permanently. Cannot be undone.");
    // A question for each: the first is answered with yes, the next with no.
    pty.press("y");
    pty.wait_for("✓ deleted");
    pty.press("n");
    assert!(!folders.right("up.txt").exists() && folders.right("down.txt").exists());
    say(&mut pty, "frobnicate", "frobnicate: no such word; help lists them");
    say(&mut pty, "byebye", "closed");
    say(&mut pty, "byebye", "not connected");
    quit(pty);
    assert!(towd.stop().success());
}

#[test]
fn words_are_completed() {
    let folders = Folders::new();
    write(folders.right("a name with blanks"), "seven b");
    let (_towd, mut pty) = folders.connected();
    pty.wait_for("a name with blanks");
    pty.press(":si\ta\t");
    pty.wait_for(":size a\\ name\\ with\\ blanks");
    pty.press("\r");
    pty.wait_for("a name with blanks: 0.000007 MB (7 bytes)");
    quit(pty);
}
