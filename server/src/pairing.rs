//! The one-time code that is open, if one is: in a private file, so that `towd pair` and every running towd of the same state folder
//! mean the same code, and its tries are counted once. It knows no sockets and no clients.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use towpath_files::private_files::{Locked, PrivateFault};
use towpath_protocol::pairing::{KeyHash, PairingCode, PairingSecret, Proof, ProofBinding, SECRET_BYTES};
use zeroize::{Zeroize, Zeroizing};

use crate::clients::ClientName;
use crate::rights::Rights;

/// The file in the private folder.
const PAIRING_FILE: &str = "pairing.json";
/// Written where no code is open, in place of the code's file.
const TRIED_FILE: &str = "pairing-tried";
/// About as much as there is of a code.
const TRIED_BYTES: usize = 256;
/// How long a code is open, in seconds.
pub(crate) const OPEN_SECONDS: u64 = 600;
/// Told where a new code closes one that was still open.
pub(crate) const REPLACED: &str = "the pairing code given before is no longer valid";
/// Wrong proofs that close it.
const TRIES: u32 = 3;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenCode {
    code: String,
    /// Seconds since 1970.
    until: u64,
    tries_left: u32,
    /// What the client will have that uses it.
    #[serde(default)]
    rights: Rights,
    /// Its name; what the client calls itself if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<ClientName>,
    /// The key of the client that used it; `None` while the code is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_by: Option<String>,
}

impl OpenCode {
    fn is_open(&self, now: u64) -> bool {
        self.is_in_time(now) && self.tries_left > 0 && self.used_by.is_none()
    }

    /// A clock that was set back does not make a code last longer.
    const fn is_in_time(&self, now: u64) -> bool {
        now < self.until && self.until <= now + OPEN_SECONDS
    }
}

/// Rights and name for the client that uses a code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Given {
    pub(crate) rights: Rights,
    /// Its name; what the client calls itself if `None`.
    pub(crate) name: Option<ClientName>,
}

impl Drop for OpenCode {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

/// What became of a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It holds; the code is closed. This is what it gives.
    Proven(Given),
    /// It holds, and the same client, which is on the list, has used the code already: its answer was lost, or it came twice.
    Again,
    /// It does not; so many tries are left.
    Wrong(u32),
    /// None is open: used, too old, tried too often, or never made.
    NoneOpen,
}

/// A code that was just opened.
pub(crate) struct Opened {
    pub(crate) code: PairingCode,
    /// Whether it closed a code that was still open.
    pub(crate) replaces: bool,
}

/// Opens a new code, `now` in seconds since 1970, and closes the one that was open before.
pub(crate) fn open(
    locked: &Locked<'_>,
    server: &KeyHash,
    now: u64,
    Given { rights, name }: Given,
) -> anyhow::Result<Opened> {
    let replaces = load(locked)?.is_some_and(|(open, _)| open.is_open(now));
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut secret[..]).context("random numbers")?;
    let code = PairingCode::new(server, PairingSecret::new(secret));
    let until = now + OPEN_SECONDS;
    write(
        locked,
        &OpenCode { code: code.text().to_string(), until, tries_left: TRIES, rights, name, used_by: None },
    )?;
    Ok(Opened { code, replaces })
}

/// Tries a proof. The code is closed by a right one, by the last wrong one, and by time. The client that used it may show it again until
/// its time is over, if it is on the list.
pub(crate) fn redeem(
    locked: &Locked<'_>,
    proof: &Proof,
    bound_to: &ProofBinding<'_>,
    is_listed: bool,
    now: u64,
) -> Result<Tried, PrivateFault> {
    let Some((mut open, code)) = load(locked)? else { return count_down(locked, None) };
    if open.is_open(now) {
        if code.secret.is_proven(proof, bound_to) {
            open.used_by = Some(bound_to.client.to_string());
            write(locked, &open)?;
            let (rights, name) = (std::mem::take(&mut open.rights), open.name.take());
            return Ok(Tried::Proven(Given { rights, name }));
        }
        open.tries_left -= 1;
        return count_down(locked, Some(&open));
    }
    let is_users = is_listed && open.used_by.as_ref().is_some_and(|key| *key == bound_to.client.to_string());
    if is_users && open.is_in_time(now) && code.secret.is_proven(proof, bound_to) {
        return Ok(Tried::Again);
    }
    count_down(locked, None)
}

/// The code of the file, open or not; `None` if there is none that can be understood.
fn load(locked: &Locked<'_>) -> Result<Option<(OpenCode, PairingCode)>, PrivateFault> {
    let content = locked.read(PAIRING_FILE)?.map(Zeroizing::new);
    Ok(content.and_then(|content| {
        let open: OpenCode = serde_json::from_slice(&content).ok()?;
        let code = PairingCode::parse(&open.code).ok()?;
        Some((open, code))
    }))
}

/// After a proof that was not taken; of none where no code is open. It writes once and removes once whatever it was, so that nobody
/// learns by the time it takes whether a code is open.
fn count_down(locked: &Locked<'_>, open: Option<&OpenCode>) -> Result<Tried, PrivateFault> {
    let left = open.map(|open| open.tries_left);
    if let Some(open) = open.filter(|open| open.tries_left > 0) {
        write(locked, open)?;
        locked.remove(TRIED_FILE)?;
    } else {
        locked.write(TRIED_FILE, &[b'\n'; TRIED_BYTES])?;
        locked.remove(PAIRING_FILE)?;
    }
    Ok(left.map_or(Tried::NoneOpen, Tried::Wrong))
}

fn write(locked: &Locked<'_>, open: &OpenCode) -> Result<(), PrivateFault> {
    let content = Zeroizing::new(serde_json::to_vec(open).unwrap_or_default());
    locked.write(PAIRING_FILE, &content)
}

#[cfg(test)]
mod tests {
    use towpath_files::private_files::{FileStamp, PrivateFolder};

    use super::*;

    const SERVER: KeyHash = KeyHash([1; 32]);
    const CLIENT: KeyHash = KeyHash([2; 32]);
    const NOW: u64 = 1_800_000_000;

    const fn bound() -> ProofBinding<'static> {
        ProofBinding { channel: &[3; 32], client: &CLIENT, server: &SERVER, name: b"ann@box" }
    }

    fn world() -> (tempfile::TempDir, PrivateFolder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        (dir, folder)
    }

    fn try_with(folder: &PrivateFolder, code: &PairingCode, now: u64) -> Tried {
        redeem(&folder.lock().unwrap(), &code.secret.proof(&bound()), &bound(), false, now).unwrap()
    }

    fn opened(folder: &PrivateFolder, given: Given) -> Opened {
        open(&folder.lock().unwrap(), &SERVER, NOW, given).unwrap()
    }

    fn other_code() -> PairingCode {
        PairingCode::new(&SERVER, PairingSecret::new([9; SECRET_BYTES].into()))
    }

    #[test]
    fn f61_a_code_is_used_once() {
        let (_dir, folder) = world();
        assert_eq!(try_with(&folder, &other_code(), NOW), Tried::NoneOpen);
        let code = opened(&folder, Given::default()).code;
        assert_eq!(try_with(&folder, &code, NOW), Tried::Proven(Given::default()));
        assert_eq!(try_with(&folder, &code, NOW), Tried::NoneOpen);
    }

    #[test]
    fn a_code_gives_the_name_it_was_made_for() {
        let (_dir, folder) = world();
        let given = Given { name: Some("laptop".into()), ..Given::default() };
        let code = opened(&folder, given.clone()).code;
        assert_eq!(try_with(&folder, &other_code(), NOW), Tried::Wrong(2));
        assert_eq!(try_with(&folder, &code, NOW), Tried::Proven(given));
    }

    #[test]
    fn f61_the_third_wrong_secret_closes_it() {
        let (_dir, folder) = world();
        let code = opened(&folder, Given::default()).code;
        for left in [2, 1, 0] {
            assert_eq!(try_with(&folder, &other_code(), NOW), Tried::Wrong(left));
        }
        assert_eq!(try_with(&folder, &code, NOW), Tried::NoneOpen);
        let code = opened(&folder, Given::default()).code;
        assert_eq!(try_with(&folder, &other_code(), NOW), Tried::Wrong(2));
        assert_eq!(try_with(&folder, &code, NOW), Tried::Proven(Given::default()));
    }

    #[test]
    fn f61_a_code_is_open_for_ten_minutes_whatever_the_clock_does() {
        let (_dir, folder) = world();
        for (later, tried) in [
            (0, Tried::Proven(Given::default())),
            (599, Tried::Proven(Given::default())),
            (600, Tried::NoneOpen),
            (100_000, Tried::NoneOpen),
        ] {
            let code = opened(&folder, Given::default()).code;
            assert_eq!(try_with(&folder, &code, NOW + later), tried, "{later} s later");
        }
        let code = opened(&folder, Given::default()).code;
        assert_eq!(try_with(&folder, &code, NOW - 1), Tried::NoneOpen);
    }

    #[test]
    fn f61_a_proof_that_is_not_taken_costs_the_same_whether_a_code_is_open_or_not() {
        let (_dir, folder) = world();
        let files = || (folder.stamp(PAIRING_FILE), folder.stamp(TRIED_FILE));
        let one_is_new = |before: (Option<FileStamp>, Option<FileStamp>),
                          after: (Option<FileStamp>, Option<FileStamp>)| {
            // One file was written anew and stays, and no other is there.
            match after {
                (Some(code), None) => before.0 != Some(code),
                (None, Some(tried)) => before.1 != Some(tried),
                _ => false,
            }
        };
        let mut tries = Vec::new();
        let mut try_once = |now| {
            let before = files();
            tries.push(try_with(&folder, &other_code(), now));
            assert!(one_is_new(before, files()), "{tries:?}: {before:?} {:?}", files());
        };
        try_once(NOW);
        try_once(NOW);
        opened(&folder, Given::default());
        for _ in 0..4 {
            try_once(NOW);
        }
        opened(&folder, Given::default());
        try_once(NOW + OPEN_SECONDS);
        let (none, wrong) = (Tried::NoneOpen, Tried::Wrong);
        assert_eq!(tries, [none.clone(), none.clone(), wrong(2), wrong(1), wrong(0), none.clone(), none]);
    }

    #[test]
    fn a_new_code_closes_the_one_before() {
        let (_dir, folder) = world();
        let first = opened(&folder, Given::default()).code;
        let second = opened(&folder, Given::default()).code;
        assert_ne!(first.secret.bytes(), second.secret.bytes());
        assert_eq!(try_with(&folder, &first, NOW), Tried::Wrong(2));
        assert_eq!(try_with(&folder, &second, NOW), Tried::Proven(Given::default()));
    }

    #[test]
    fn a_code_is_replaced_only_while_it_is_open() {
        let (_dir, folder) = world();
        let again = |now| open(&folder.lock().unwrap(), &SERVER, now, Given::default()).unwrap();
        assert!(!again(NOW).replaces, "the first");
        assert!(again(NOW + 1).replaces, "an open one");
        let used = again(NOW + 2);
        assert!(!again(NOW + 2 + OPEN_SECONDS).replaces, "one that is too old");
        assert!(used.replaces);
        let code = again(NOW).code;
        assert_eq!(try_with(&folder, &code, NOW), Tried::Proven(Given::default()));
        assert!(!again(NOW).replaces, "a used one");
        for _ in 0..TRIES {
            try_with(&folder, &other_code(), NOW);
        }
        assert!(!again(NOW).replaces, "one that was tried too often");
    }

    #[test]
    fn f61_a_used_code_holds_again_for_its_client_alone_while_that_is_listed() {
        let (_dir, folder) = world();
        let other_client = KeyHash([7; 32]);
        let other = ProofBinding { client: &other_client, ..bound() };
        let show = |code: &PairingCode, bound: &ProofBinding<'_>, is_listed, now| {
            redeem(&folder.lock().unwrap(), &code.secret.proof(bound), bound, is_listed, now).unwrap()
        };
        for (bound, is_listed, later, tried) in [
            (&bound(), true, 1, Tried::Again),
            (&bound(), false, 1, Tried::NoneOpen),
            (&bound(), true, OPEN_SECONDS, Tried::NoneOpen),
            (&other, true, 1, Tried::NoneOpen),
        ] {
            let code = opened(&folder, Given::default()).code;
            assert_eq!(try_with(&folder, &code, NOW), Tried::Proven(Given::default()));
            assert_eq!(show(&code, bound, is_listed, NOW + later), tried, "{is_listed} {later}");
        }
        let code = opened(&folder, Given::default()).code;
        assert_eq!(try_with(&folder, &code, NOW), Tried::Proven(Given::default()));
        assert_eq!(show(&other_code(), &bound(), true, NOW), Tried::NoneOpen, "another code");
    }

    #[test]
    fn f62_a_file_that_cannot_be_understood_is_no_open_code() {
        let (_dir, folder) = world();
        for content in ["", "{}", r#"{"code":"tow1","until":1800000100,"tries_left":3}"#] {
            folder.lock().unwrap().write(PAIRING_FILE, content.as_bytes()).unwrap();
            assert_eq!(try_with(&folder, &other_code(), NOW), Tried::NoneOpen);
        }
    }
}
