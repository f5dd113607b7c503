//! Names of unfinished files: which are proven ours, and which are a person's.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::disk::{mode, times};

const ID: PartId = PartId([7; ID_BYTES]);

struct Stage {
    dir: tempfile::TempDir,
    folder: OwnedFd,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = fs::File::open(dir.path()).unwrap().into();
        Self { dir, folder }
    }

    fn at(&self, name: &Name) -> PathBuf {
        self.dir.path().join(std::ffi::OsStr::from_bytes(name.as_bytes()))
    }

    fn left(&self, content: &str) -> Name {
        let (name, file) = create(&self.folder, ID, 0o600).unwrap();
        rustix::io::write(&file, content.as_bytes()).unwrap();
        name
    }

    fn waits(&self) -> bool {
        matches!(take_up(&self.folder, ID).unwrap(), Found::Waiting(..))
    }
}

fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

#[test]
fn an_upload_is_found_by_its_place_size_and_time() {
    let of = |place: &str, size, ns| PartId::of_upload(1, &name(place), size, Time::from_ns(ns));
    assert_eq!(of("one", 1, 2), of("one", 1, 2));
    for other in [of("two", 1, 2), of("one", 3, 2), of("one", 1, -2)] {
        assert_ne!(of("one", 1, 2), other);
    }
    assert_ne!(of("one", 1, 2), PartId::of_upload(2, &name("one"), 1, Time::from_ns(2)), "another client's");
}

#[test]
fn only_what_is_ours_alone_is_taken_up() {
    let stage = Stage::new();
    assert!(!stage.waits(), "nothing is there");
    let (made_name, made) = create(&stage.folder, ID, 0o600).unwrap();
    assert!(matches!(take_up(&stage.folder, ID).unwrap(), Found::Taken));
    rustix::io::write(&made, b"half").unwrap();
    drop(made);
    assert!(stage.waits());
    let at = stage.at(&made_name);
    fs::hard_link(&at, stage.dir.path().join("second name")).unwrap();
    assert!(!stage.waits(), "it has a second name");
    fs::remove_file(stage.dir.path().join("second name")).unwrap();
    fs::remove_file(&at).unwrap();
    // It was cut off between its mode and its name: it makes room.
    for mode in [0o640, 0o444] {
        let at = stage.at(&stage.left("half"));
        fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
        assert!(!stage.waits() && !at.exists(), "others may read it");
    }
    symlink("elsewhere", &at).unwrap();
    assert!(!stage.waits(), "a link");
    fs::remove_file(&at).unwrap();
    fs::create_dir(&at).unwrap();
    assert!(!stage.waits(), "a folder");
}

#[test]
fn only_what_is_old_and_left_is_swept() {
    let stage = Stage::new();
    let (part, made) = create(&stage.folder, ID, 0o600).unwrap();
    rustix::io::write(&made, b"half").unwrap();
    assert_eq!(sweep(&stage.folder, &part, Duration::ZERO), None, "somebody is at it");
    drop(made);
    assert_eq!(sweep(&stage.folder, &part, Duration::from_hours(1)), None, "it is not old");
    assert_eq!(sweep(&stage.folder, &part, Duration::ZERO), Some(4));
    assert_eq!(sweep(&stage.folder, &part, Duration::ZERO), None, "it is gone");
    // One that was cut off between its mode and its name.
    let (part, made) = create(&stage.folder, ID, 0o600).unwrap();
    rustix::io::write(&made, b"half").unwrap();
    rustix::fs::fchmod(&made, Mode::from_raw_mode(0o444)).unwrap();
    drop(made);
    assert_eq!(sweep(&stage.folder, &part, Duration::ZERO), Some(4));
    // An empty one makes room for the next upload of its name.
    let (part, made) = create(&stage.folder, ID, 0o444).unwrap();
    drop(made);
    assert!(!stage.waits() && !stage.at(&part).exists());
    let link = ID.link_name(b"elsewhere").unwrap();
    symlink("elsewhere", stage.at(&link)).unwrap();
    assert_eq!(sweep(&stage.folder, &link, Duration::ZERO), None, "it may be on its way to its place");
    let later = SystemTime::now() + 2 * LINK_AGE_LEAST;
    assert_eq!(sweep_at(&stage.folder, &link, Duration::from_hours(1), later), None, "it is kept for longer");
    assert_eq!(sweep_at(&stage.folder, &link, Duration::ZERO, later), Some(9));
}

/// A person's things under every kind of name that is like ours: none is hidden, and none goes.
#[test]
fn f82_what_is_not_provably_ours_is_neither_hidden_nor_swept() {
    let stage = Stage::new();
    let later = SystemTime::now() + 2 * LINK_AGE_LEAST;
    let theirs = |name: &Name, what: &str| {
        assert!(!is_part(&stage.folder, name), "{what}");
        assert_eq!(sweep_at(&stage.folder, name, Duration::ZERO, later), None, "{what}");
        assert!(fs::symlink_metadata(stage.at(name)).is_ok(), "{what}");
    };
    let real = stage.left("half");
    assert!(is_part(&stage.folder, &real));
    // The form alone, of today and of earlier versions, and names that only begin like it.
    let text = String::from_utf8(real.as_bytes().to_vec()).unwrap();
    let likes = [
        ".towpath-part-notes".to_owned(),
        ".towpath-part-0123456789ab".to_owned(),
        ".towpath-part-".to_owned(),
        ".towpath-part-0123456789ab-0123456789abcdef".to_owned(),
        text.to_uppercase(),
        format!("{text}0"),
        format!("{text}~"),
    ];
    for like in likes.iter().map(|like| name(like)) {
        fs::write(stage.at(&like), "IMPORTANT").unwrap();
        fs::set_permissions(stage.at(&like), fs::Permissions::from_mode(0o600)).unwrap();
        theirs(&like, "a file");
        fs::remove_file(stage.at(&like)).unwrap();
        symlink("IMPORTANT", stage.at(&like)).unwrap();
        theirs(&like, "a link");
        fs::remove_file(stage.at(&like)).unwrap();
        fs::create_dir(stage.at(&like)).unwrap();
        theirs(&like, "a folder");
        fs::remove_dir(stage.at(&like)).unwrap();
        fs::write(stage.at(&like), "").unwrap();
        theirs(&like, "an empty file");
    }
    // A part's very name, in another file: a copy, and a file that was made after the part had gone.
    let elsewhere = Stage::new();
    fs::copy(stage.at(&real), elsewhere.at(&real)).unwrap();
    assert!(!is_part(&elsewhere.folder, &real), "a copy");
    assert_eq!(sweep(&elsewhere.folder, &real, Duration::ZERO), None, "a copy");
    fs::remove_file(stage.at(&real)).unwrap();
    fs::write(stage.at(&real), "IMPORTANT").unwrap();
    fs::set_permissions(stage.at(&real), fs::Permissions::from_mode(0o600)).unwrap();
    theirs(&real, "made anew");
    // A file renamed to such a name, and a second name of a part.
    fs::remove_file(stage.at(&real)).unwrap();
    let [first, second] = [stage.left("first"), stage.left("second")];
    fs::rename(stage.at(&first), stage.at(&second)).unwrap();
    theirs(&second, "renamed onto another's name");
    // A link under a link's name, that leads elsewhere.
    let link = ID.link_name(b"elsewhere").unwrap();
    symlink("somewhere", stage.at(&link)).unwrap();
    theirs(&link, "a link that leads elsewhere");
}

#[test]
fn f82_a_crash_between_any_two_steps_leaves_what_is_provably_ours() {
    let stage = Stage::new();
    // Made, and not yet renamed to its own name.
    let newborn = ID.newborn_name().unwrap();
    drop(writing::create_new(&stage.folder, &newborn, 0o600).unwrap());
    assert!(is_part(&stage.folder, &newborn));
    fs::write(stage.at(&newborn), "content").unwrap();
    assert!(!is_part(&stage.folder, &newborn), "only while it is empty");
    fs::write(stage.at(&newborn), "").unwrap();
    assert_eq!(sweep(&stage.folder, &newborn, Duration::ZERO), Some(0));
    // Written, given its mode and time, renamed to another folder of this disk by its owner.
    let part = stage.left("half");
    times::set_modified(&stage.folder, &part, Time::from_ns(5)).unwrap();
    mode::set_mode(&stage.folder, &part, 0o444).unwrap();
    assert!(is_part(&stage.folder, &part));
    fs::create_dir(stage.dir.path().join("elsewhere")).unwrap();
    let moved = stage.dir.path().join("elsewhere").join(stage.at(&part).file_name().unwrap());
    fs::rename(stage.at(&part), &moved).unwrap();
    let elsewhere = fs::File::open(moved.parent().unwrap()).unwrap();
    assert_eq!(sweep(&elsewhere, &part, Duration::ZERO), Some(4));
}
