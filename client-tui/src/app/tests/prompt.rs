//! The command line: the seven words and the others, completion, history.

use towpath_protocol::answer::Totals;
use towpath_protocol::path::Name;

use super::play::{app, local, path};
use crate::app::dialog::Dialog;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::model::Side;

#[test]
fn ls_says_the_count_and_the_total() {
    let play = app().line("ls /x").lists(Side::Left, ["a=1000000", "b=2000000"]);
    assert_eq!(play.said(), "2 items, 3.00 MB in /x");
    let play = app().connected([]).line("ls").lists(Side::Right, ["a=1000000"]);
    assert_eq!(play.said(), "1 item, 1.00 MB in tow://box:7171/srv");
}

#[test]
fn size_is_said_in_megabytes_and_bytes() {
    let play = app().line("size a");
    let [Effect::Measure { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let totals = Totals { files: 1, bytes: 2, ..Totals::default() };
    assert_eq!(
        play.event(Event::Measured { ticket, outcome: Ok(totals) }).said(),
        "a: 0.000002 MB (2 bytes)"
    );
}

#[test]
fn upload_and_download_know_which_pane_is_the_server() {
    for keys in ["", "Tab"] {
        let play = app().with(["a"]).connected(["b"]).press(keys).line("upload a");
        assert_eq!(play.carried(), [("left/a".to_owned(), "srv/a".to_owned())]);
        let play = app().with(["a"]).connected(["b"]).press(keys).line("download b sub/");
        assert_eq!(play.carried(), [("srv/b".to_owned(), "left/sub/b".to_owned())]);
    }
}

#[test]
fn rm_takes_no_dots_and_no_home() {
    for operand in [".", "..", "a/..", "a/../", "~", "~/", "/"] {
        let play = app().with(["a/"]).line(&format!("rm {operand}"));
        assert!(
            play.effects.is_empty() && play.said().contains("refusing to remove"),
            "{operand}: {}",
            play.said()
        );
    }
}

#[test]
fn rm_asks_for_each_and_goes_on_with_the_next() {
    let play = app().connected(["a", "b"]).line("rm a 'b'");
    assert_eq!((play.effects.len(), play.app.dialogs.len()), (2, 2));
    let first = |play: &super::play::Play| match play.app.dialogs.last() {
        Some(Dialog::Delete(delete)) => delete.paths[0].display(),
        other => panic!("{other:?}"),
    };
    assert_eq!(first(&play), "srv/a");
    let play = play.press("n");
    assert_eq!(first(&play), "srv/b");
    let play = play.press("y");
    assert!(matches!(&play.effects[..], [Effect::Remove { paths, .. }] if paths[0] == path("srv/b")));
}

#[test]
fn rm_of_what_is_not_there_says_so() {
    let play = app().line("rm nothing");
    let [Effect::Measure { ticket, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    let fault = towpath_protocol::fault::Fault::new(towpath_protocol::fault::FaultCode::NotFound)
        .at(path("left/nothing"));
    let play = play.event(Event::Measured { ticket, outcome: Err(fault) });
    assert_eq!((play.app.dialogs.len(), play.said()), (0, "/left/nothing: no such file or folder"));
}

#[test]
fn words_that_nobody_knows_and_open_quotes_are_said() {
    assert_eq!(app().line("fly").said(), "fly: no such word; help lists them");
    assert_eq!(app().line("rm 'a").said(), "a quote is not closed");
    assert_eq!(app().line("byebye").said(), "not connected");
    assert!(app().line("connme").said().starts_with("not connected; connme TARGET connects"));
    assert!(matches!(app().line("help").app.dialogs[..], [Dialog::Words { .. }]));
    assert_eq!(app().line("help").press("Esc").app.dialogs, []);
    assert_eq!(app().line("quit").effects, [Effect::Quit]);
    let play = app().line("mkdir 'a b'");
    let [Effect::MakeFolder { ref place, .. }] = play.effects[..] else { panic!("{:?}", play.effects) };
    assert_eq!(*place, local("left/a b"));
}

#[test]
fn tab_completes_words_and_names() {
    let names = ["alpha.txt", "alpine", "two words", "sub/", ".hidden"];
    let table = [
        ("by", "Tab", "byebye "),
        ("rm t", "Tab", "rm two\\ words "),
        ("rm alp", "Tab", "rm alp"),
        ("rm alp", "Tab Tab", "rm alpha.txt"),
        ("rm alp", "Tab Tab Tab", "rm alpine"),
        ("rm alp", "Tab Tab Tab Tab", "rm alpha.txt"),
        ("rm alp", "Tab BackTab", "rm alpine"),
        ("rm al", "Tab", "rm alp"),
        ("cd s", "Tab", "cd sub/"),
        ("rm .", "Tab", "rm .hidden "),
        ("rm zzz", "Tab", "rm zzz"),
        ("rm 'two w", "Tab", "rm two\\ words "),
    ];
    for (typed, keys, expected) in table {
        let play = app().with(names).press(":").types(typed).press(keys);
        assert_eq!(play.prompt_text(), expected, "{typed} {keys}");
    }
}

#[test]
fn names_are_those_of_the_side_that_a_word_is_about() {
    let table = [
        ("rm ", "rm remote "),
        ("download ", "download remote "),
        ("upload ", "upload local "),
        ("cd ", "cd local "),
    ];
    for (typed, expected) in table {
        let play = app().with(["local"]).connected(["remote"]).press(":").types(typed).press("Tab");
        assert_eq!(play.prompt_text(), expected);
    }
}

#[test]
fn names_of_another_folder_come_later_unless_the_line_was_edited() {
    let play = app().press(":").types("rm sub/n").press("Tab");
    let [Effect::Names { ticket, ref place }] = play.effects[..] else { panic!("{:?}", play.effects) };
    assert_eq!(*place, local("left/sub"));
    let names = || vec![(Name::try_from("name").unwrap(), false), (Name::try_from("x").unwrap(), true)];
    let edited = app().press(":").types("rm sub/n").press("Tab").types("o");
    let edited = edited.event(Event::Names { ticket, names: names() });
    assert_eq!(edited.prompt_text(), "rm sub/no");
    assert_eq!(play.event(Event::Names { ticket, names: names() }).prompt_text(), "rm sub/name ");
}

#[test]
fn history_goes_back_and_forth_and_keeps_what_was_typed() {
    let play = app().line("size a").line("size b").line("size b").press(":").types("dr");
    let play = play.press("Up");
    assert_eq!(play.prompt_text(), "size b");
    let play = play.press("Up Up");
    assert_eq!(play.prompt_text(), "size a");
    let play = play.press("Down Down Down");
    assert_eq!(play.prompt_text(), "dr");
}
