//! What paired clients may do: given with the code, listed, changed, and held to.

use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Access;
use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{Depth, Existing, OperationId, Put, Read, Remove, Space, Wants};

use super::log::put;
use super::tls::{House, Person};
use super::world::{State, at, folder, run, write};

fn root() -> tempfile::TempDir {
    let root = folder(&[("file", b"file")]);
    rustix::fs::mkdir(root.path().join("photos"), rustix::fs::Mode::RWXU).unwrap();
    write(&root.path().join("photos/picture"), b"picture");
    root
}

fn put_as(operation: u8, path: &str, data: &[u8]) -> Put {
    Put { operation: OperationId([operation; 16]), ..put(path, data) }
}

fn remove(path: &str) -> Remove {
    Remove {
        operation: OperationId([99; 16]),
        thing: at(path),
        depth: Depth::Single,
        expected: None,
        aside: false,
    }
}

#[test]
fn a_client_has_what_its_code_gave_it() {
    let root = root();
    let house = House::new(root.path(), &[]);
    let ann = house.paired("ann@box", &["--folder", "/photos/", "--allow", "list,read,write"]);
    let bob = house.paired("bob@box", &["--read-only", "--quota", "10GiB"]);
    let eve = house.paired("eve@box", &[]);

    let mut session = house.meet(&ann, None).unwrap();
    let welcome = session.welcome.clone().unwrap();
    assert_eq!((welcome.access, welcome.may.to_string()), (Access::ReadWrite, "list,read,write".to_owned()));
    assert_eq!(welcome.root_name, root.path().join("photos").to_str().unwrap());
    assert!(matches!(session.call(put("new", b"new")).1, Answer::Stored(_)));
    assert_eq!(session.refused(remove("new")), FaultCode::PermissionDenied);
    let mut over = put_as(2, "new", b"other");
    over.store.existing = Existing::Replace;
    assert_eq!(session.refused(over), FaultCode::PermissionDenied);
    assert_eq!(session.refused(remove("file")), FaultCode::PermissionDenied);

    let mut session = house.meet(&bob, None).unwrap();
    let welcome = session.welcome.clone().unwrap();
    assert_eq!((welcome.access, welcome.permissions()), (Access::ReadOnly, Permissions::READ_ONLY));
    assert_eq!(session.refused(put("new", b"new")), FaultCode::ReadOnly);
    let mut session = house.meet(&eve, None).unwrap();
    assert_eq!(session.welcome.as_ref().unwrap().may, Permissions::ALL);
    assert!(matches!(session.call(remove("photos/new")).1, Answer::Totals(totals) if totals.files == 1));

    let listed = house.state.says(&["clients"]);
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "NAME", "PAIRED", "MAY", "QUOTA", "FOLDER", "KEY"]);
    assert_eq!(lines[1][3..6], ["list,read,write", "-", "/photos"]);
    assert_eq!(lines[2][3..6], ["list,read", "10GiB", "/"]);
    assert_eq!(lines[3][3..6], ["list,read,write,delete", "-", "/"]);
    let at = listed.lines().next().unwrap().find("KEY").unwrap();
    assert!(listed.lines().skip(1).all(|line| line[at..].starts_with("SHA256:")), "{listed}");
}

#[test]
fn f64_changed_rights_end_the_sessions_that_have_others() {
    let root = root();
    let house = House::new(root.path(), &[]);
    let (ann, bob) = (house.paired("ann@box", &[]), house.paired("bob@box", &[]));
    let mut session = house.meet(&ann, None).unwrap();
    let mut other = house.meet(&bob, None).unwrap();
    let said = house
        .state
        .says(&["clients", "set", "1", "--allow", "list", "--folder", "photos", "--quota", "1MiB"]);
    assert_eq!(said, "ann@box may list in /photos, 1MiB at most; its sessions end\n");
    match session.hear() {
        Some((0, Answer::Fault(fault))) => {
            assert_eq!(fault.code, FaultCode::PermissionDenied);
            assert!(fault.detail.to_string().contains("changed what this client may do"), "{fault}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(session.hear(), None);
    let mut session = house.meet(&ann, None).unwrap();
    assert_eq!(session.welcome.as_ref().unwrap().may.to_string(), "list");
    assert_eq!(session.refused(put("new", b"new")), FaultCode::ReadOnly);
    other.call(Space { path: WirePath::root() });
    // What is not named stays.
    let said = house.state.says(&["clients", "set", "1", "--quota", "none"]);
    assert_eq!(said, "ann@box may list in /photos; its sessions end\n");
}

#[test]
fn a_list_of_clients_that_cannot_be_read_ends_sessions_and_is_told_as_no_removal() {
    let root = root();
    let house = House::new(root.path(), &[]);
    let (ann, bob) = (house.paired("ann@box", &[]), house.paired("bob@box", &["--read-only"]));
    let list = house.state.path().join("server/clients.json");
    let good = std::fs::read(&list).unwrap();
    let damaged: [&[u8]; 3] = [&good[..good.len() / 2], b"", b"{\"last_id\":2,\"clients\":[],\"later\":1}"];
    for damaged in damaged {
        for person in [&ann, &bob] {
            let mut session = house.meet(person, None).unwrap();
            std::fs::write(&list, damaged).unwrap();
            match session.hear() {
                Some((0, Answer::Fault(fault))) => {
                    assert_eq!(fault.code, FaultCode::Internal, "{fault}");
                    assert!(fault.detail.to_string().contains("cannot read its list of clients"), "{fault}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(session.hear(), None);
            let fault = house.meet(person, None).err().unwrap();
            assert_eq!(fault.code, FaultCode::Internal, "{fault}");
            assert_eq!(std::fs::read(&list).unwrap(), damaged);
            // Nothing was lost by it: with the list as it was, the client has its rights again.
            let mended = list.with_extension("mended");
            std::fs::copy(&list, &mended).unwrap();
            std::fs::write(&mended, &good).unwrap();
            std::fs::rename(&mended, &list).unwrap();
        }
    }
    house.towd.log.wait_for("sessions over TCP end");
    assert_eq!(house.meet(&bob, None).unwrap().welcome.unwrap().permissions(), Permissions::READ_ONLY);
    assert!(house.towd.stop().success());
}

#[test]
fn read_only_for_all_is_for_all() {
    let root = root();
    let house = House::new(root.path(), &["--read-only"]);
    let ann = house.paired("ann@box", &["--allow", "list,write,delete"]);
    let mut session = house.meet(&ann, None).unwrap();
    let welcome = session.welcome.clone().unwrap();
    assert_eq!((welcome.access, welcome.permissions().to_string()), (Access::ReadOnly, "list".to_owned()));
    assert_eq!(session.refused(remove("file")), FaultCode::ReadOnly);
}

#[test]
fn a_client_whose_folder_is_gone_is_told_so() {
    let root = root();
    let house = House::new(root.path(), &[]);
    rustix::fs::mkdir(root.path().join("later"), rustix::fs::Mode::RWXU).unwrap();
    let code = house.code(&["--folder", "later"]);
    std::fs::remove_dir(root.path().join("later")).unwrap();
    let ann = Person::new("ann@box");
    let fault = house.meet(&ann, Some(&code)).err().unwrap();
    assert_eq!(fault.code, FaultCode::NotFound);
    assert!(fault.detail.to_string().contains("keeps for this client"), "{fault}");
    rustix::fs::mkdir(root.path().join("later"), rustix::fs::Mode::RWXU).unwrap();
    house.meet(&ann, None).unwrap();
}

#[test]
fn a_served_folder_that_is_gone_is_told_to_a_client_that_comes() {
    let root = root();
    let served = root.path().join("served");
    std::fs::create_dir(&served).unwrap();
    let house = House::new(&served, &[]);
    let ann = house.paired("ann@box", &[]);
    std::fs::remove_dir_all(&served).unwrap();
    let fault = house.meet(&ann, None).err().unwrap();
    assert_eq!(fault.code, FaultCode::NotFound);
    assert!(fault.detail.to_string().contains("the served folder is gone"), "{fault}");
}

#[test]
fn the_sessions_of_a_client_share_its_quota() {
    let root = root();
    let house = House::new(root.path(), &["--limit", "quota_bytes=96KiB"]);
    let ann = house.paired("ann@box", &["--folder", "photos"]);
    let bob = house.paired("bob@box", &["--quota", "none", "--folder", "photos"]);
    let carl = house.paired("carl@box", &["--quota", "128KiB", "--folder", "photos"]);
    let mut sessions = [house.meet(&ann, None).unwrap(), house.meet(&ann, None).unwrap()];
    // Both together are too much.
    for (session, (operation, name, expected)) in
        sessions.iter_mut().zip([(1, "one", true), (2, "two", false)])
    {
        let stored = matches!(session.call(put_as(operation, name, &vec![7; 50_000])).1, Answer::Stored(_));
        assert_eq!(stored, expected, "{name}");
    }
    // Others' files count for them; a client without a quota of its own has the common one.
    let mut bobs = house.meet(&bob, None).unwrap();
    let stored = bobs.call(put_as(3, "bobs", &vec![7; 50_000])).1;
    assert!(matches!(stored, Answer::Stored(_)), "{stored:?}");
    assert_eq!(bobs.refused(put_as(4, "more", &vec![7; 50_000])), FaultCode::NoSpace);
    let stored = house.meet(&carl, None).unwrap().call(put_as(5, "two", &vec![7; 60_000])).1;
    assert!(matches!(stored, Answer::Stored(_)), "{stored:?}");
}

#[test]
fn words_that_are_no_rights_are_named() {
    for (arguments, word) in [
        (&["pair", "--allow", "everything"][..], "none of list, read, write, delete"),
        (&["pair", "--allow", ""], "none of list"),
        (&["pair", "--folder", "../up"], "--folder"),
        (&["pair", "--quota", "much"], "--quota"),
        (&["pair", "--allow", "list", "--read-only"], "--read-only"),
        (&["clients", "set", "1"], "nothing to change"),
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(word), "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn f61_f67_a_client_cannot_reach_towds_own_files_in_the_folder_that_it_is_served() {
    let root = root();
    let state = State::in_folder(root.path());
    let house = House::with(state, root.path(), &[]);
    let ann = house.paired("ann@box", &["--read-only"]);
    // A code is open now that would give everything.
    house.code(&[]);
    let mut session = house.meet(&ann, None).unwrap();
    for name in ["identity.pem", "clients.json", "pairing.json"] {
        let path = format!("state/server/{name}");
        assert!(root.path().join(&path).exists());
        let read =
            Read { file: at(&path), version: None, offset: 0, len: 100, wants: Wants::Data, holes: false };
        assert_eq!(session.refused(read), FaultCode::PermissionDenied, "{name}");
    }
    let bob = house.paired("bob@box", &[]);
    let mut session = house.meet(&bob, None).unwrap();
    let mut over = put_as(1, "state/server/clients.json", b"{}");
    over.store.existing = Existing::Replace;
    assert_eq!(session.refused(over), FaultCode::PermissionDenied);
    let remove = Remove { depth: Depth::Tree, ..remove("state") };
    assert_eq!(session.refused(remove), FaultCode::PermissionDenied);
    house.meet(&ann, None).unwrap();
}
