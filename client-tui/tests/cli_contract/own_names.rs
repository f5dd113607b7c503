//! A person's names that are like those of our unfinished files: theirs, in every command.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use towpath_files::exchange::{ANSWERS_QUEUED_MAX, Answers, Exchange, INPUTS_QUEUED_MAX};
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::hello::Access;
use towpath_protocol::input::{AbortUpload, UploadData};
use towpath_protocol::message::RequestId;
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::request::{BeginUpload, Durability, Existing, OperationId, StoreAs};
use towpath_protocol::time::Time;

use crate::stage::{Stage, told};

/// Has exactly the form of our names.
const OF_OUR_FORM: &str = ".towpath-part-0123456789ab-0123456789abcdef";

/// The part of an interrupted upload in a folder.
pub(crate) fn leave_part(folder: &Path) -> PathBuf {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = ServiceConfig {
            root: RootSpec::Jailed(folder.to_owned()),
            access: Access::ReadWrite,
            home: WirePath::root(),
        };
        let service = Arc::new(Service::new(config).unwrap());
        let (answers, mut answered) = tokio::sync::mpsc::channel(ANSWERS_QUEUED_MAX);
        let (inputs, received) = tokio::sync::mpsc::channel(INPUTS_QUEUED_MAX);
        let exchange = Exchange {
            answers: Answers::new(RequestId(1), answers),
            inputs: received.into(),
            cancel: CancellationToken::new(),
            lost: CancellationToken::new(),
        };
        let store = StoreAs {
            mode: 0o644,
            modified: Time::from_ns(5),
            existing: Existing::Keep,
            expected: None,
            durability: Durability::Relaxed,
            metadata: None,
        };
        let begin = BeginUpload {
            operation: OperationId([7; 16]),
            file: Location::through(&WirePath::root()).join(&Name::try_from("coming").unwrap()).unwrap(),
            store,
            size: 2 << 20,
            resume: Some(1 << 20),
            basis: None,
            window_bytes: None,
            stored_bytes: None,
        };
        let serving = tokio::spawn(service.serve(begin.into(), exchange));
        for at in (0..1 << 20).step_by(1 << 16) {
            inputs.send(UploadData { offset: at, data: vec![7; 1 << 16].into() }.into()).await.unwrap();
        }
        inputs.send(AbortUpload { keep: true }.into()).await.unwrap();
        while answered.recv().await.is_some() {}
        serving.await.unwrap();
    });
    let is_part = |path: &PathBuf| fs::metadata(path).is_ok_and(|there| there.len() == 1 << 20);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(is_part).unwrap()
}

#[test]
fn f82_names_like_ours_are_copied_moved_measured_and_listed_like_any_other() {
    let stage = Stage::new();
    let scene = stage.scene("like ours");
    for name in ["s", "t"] {
        let tree = scene.at("L").join(name);
        fs::create_dir_all(tree.join(".towpath-part-notes")).unwrap();
        fs::write(tree.join(".towpath-part-notes/in"), "in").unwrap();
        fs::write(tree.join(".towpath-part-list.txt"), "list").unwrap();
        // The form of earlier versions.
        fs::write(tree.join(".towpath-part-0123456789ab"), "old").unwrap();
        symlink("x", tree.join(".towpath-part-link")).unwrap();
    }
    let run = |typed: &[&str], exit: i32| {
        let output = scene.tow(typed).output().unwrap();
        assert_eq!(output.status.code(), Some(exit), "{typed:?}\n{}", told(&output));
        told(&output)
    };
    let whole = |tree: &Path| {
        assert_eq!(fs::read(tree.join(".towpath-part-notes/in")).unwrap(), b"in");
        assert_eq!(fs::read(tree.join(".towpath-part-list.txt")).unwrap(), b"list");
        assert_eq!(fs::read(tree.join(".towpath-part-0123456789ab")).unwrap(), b"old");
        assert_eq!(fs::read_link(tree.join(".towpath-part-link")).unwrap(), Path::new("x"));
    };
    assert!(run(&["size", "{L}/s"], 0).contains("9 bytes"));
    run(&["put", "{L}/s", "{S}"], 0);
    whole(&scene.at("S/s"));
    let listed = run(&["ls", "-a", "{S}/s"], 0);
    assert!(listed.contains(".towpath-part-list.txt") && listed.contains(".towpath-part-0123456789ab"));
    run(&["cp", "{S}/s", "{S}/again"], 0);
    whole(&scene.at("S/again"));
    run(&["mv", "{L}/t", "{S}/t"], 0);
    whole(&scene.at("S/t"));
    assert!(!scene.at("L/t").exists());
    run(&["mv", "{S}/t", "{L}/t"], 0);
    whole(&scene.at("L/t"));
    assert!(!scene.at("S/t").exists());
    run(&["rm", "-r", "--yes", "{S}/again"], 0);
    assert!(!scene.at("S/again").exists());
}

#[test]
fn f82_a_name_of_our_form_is_named_and_left_where_it_is_and_the_rest_arrives() {
    let stage = Stage::new();
    let scene = stage.scene("our form");
    for tree in ["L/t", "S/t"] {
        fs::create_dir_all(scene.at(tree)).unwrap();
        fs::write(scene.at(tree).join(OF_OUR_FORM), "IMPORTANT").unwrap();
        fs::write(scene.at(tree).join("x"), "x").unwrap();
    }
    fs::set_permissions(scene.at("L/t").join(OF_OUR_FORM), fs::Permissions::from_mode(0o600)).unwrap();
    for (typed, from, to) in [
        (["put", "{L}/t", "{S}/came"], "L/t", "S/came"),
        (["get", "{S}/t", "{L}/came"], "S/t", "L/came"),
        (["mv", "{L}/t", "{S}/moved"], "L/t", "S/moved"),
    ] {
        let output = scene.tow(&typed).output().unwrap();
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{typed:?}\n{said}");
        assert!(said.contains(OF_OUR_FORM) && said.contains("kept for unfinished files"), "{said}");
        assert_eq!(fs::read(scene.at(from).join(OF_OUR_FORM)).unwrap(), b"IMPORTANT");
        assert_eq!(fs::read(scene.at(to).join("x")).unwrap(), b"x");
    }
    let listed = scene.tow(&["ls", "-a", "{S}/t"]).output().unwrap();
    assert!(told(&listed).contains(OF_OUR_FORM), "{}", told(&listed));
}
