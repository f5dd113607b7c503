//! How two machines get to know each other: the hash that names a key, the one-time code that a person carries from the server to
//! the client, and the proof that the client knows it. Pure functions of bytes; keys and encrypted streams are other people's.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::display::PeerText;
use crate::limits::CLIENT_NAME_BYTES_MAX;

/// Bytes of a code's secret: 96 bits.
pub const SECRET_BYTES: usize = 12;
/// Bytes of a server's key hash that a code carries: whoever wants another key with the same beginning needs 2^160 of them.
pub const KEY_HASH_BYTES_IN_CODE: usize = 20;
/// Bytes at the end of a code by which a slip of the pen is found.
const CHECK_BYTES: usize = 3;
const CODE_BYTES: usize = KEY_HASH_BYTES_IN_CODE + SECRET_BYTES + CHECK_BYTES;
/// What every code begins with; the digit is the version of what follows.
const CODE_BEGINS: &str = "tow1";
/// Crockford's base 32: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// More than this is no code, however many blanks it has.
const TYPED_BYTES_MAX: usize = 1024;

const SECRET_CONTEXT: &str = "Towpath 2026 pairing version 1: from a code's secret to the key of its proof";
const CHECK_CONTEXT: &str = "Towpath 2026 pairing version 1: check bytes of a code";

/// SHA-256 of a public key as TLS carries it (`SubjectPublicKeyInfo`, DER): the name of a machine that nobody else can bear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// `SHA256:` and base64 without padding, as ssh writes fingerprints.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `SHA256:` and 43 digits of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint")]
pub struct NotAKeyHash;

impl FromStr for KeyHash {
    type Err = NotAKeyHash;

    fn from_str(text: &str) -> Result<Self, NotAKeyHash> {
        let digits = text.strip_prefix("SHA256:").ok_or(NotAKeyHash)?;
        let bytes = STANDARD_NO_PAD.decode(digits).map_err(|_| NotAKeyHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAKeyHash)
    }
}

/// What is known of a server's key before it is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The key that was met before.
    Known(KeyHash),
    /// The beginning of the key's hash, from a pairing code.
    FromCode([u8; KEY_HASH_BYTES_IN_CODE]),
}

impl Pin {
    pub fn fits(&self, found: &KeyHash) -> bool {
        match self {
            Self::Known(known) => known == found,
            Self::FromCode(begin) => found.0.starts_with(begin),
        }
    }
}

/// As much of the fingerprint as is known.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => known.fmt(f),
            Self::FromCode(begin) => {
                // 18 bytes are 24 digits exactly; what the rest of the hash is cannot be said.
                write!(f, "SHA256:{}…", STANDARD_NO_PAD.encode(&begin[..18]))
            }
        }
    }
}

/// What only the server and the person who reads its code know. It is wiped from memory when dropped, and cannot be printed:
///
/// ```compile_fail
/// fn print(secret: towpath_protocol::pairing::PairingSecret) {
///     println!("{secret:?}");
/// }
/// ```
#[allow(missing_debug_implementations, reason = "a secret is not printed, by nobody")]
#[derive(Clone)]
pub struct PairingSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl PairingSecret {
    /// Of bytes from the operating system's random number generator.
    pub fn new(bytes: Zeroizing<[u8; SECRET_BYTES]>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// What shows that the client knows the secret, in this one connection and for no other key, server or name.
    pub fn proof(&self, bound_to: &ProofBinding<'_>) -> Proof {
        let mut key = blake3::derive_key(SECRET_CONTEXT, &self.0[..]);
        let mut hasher = blake3::Hasher::new_keyed(&key);
        key.zeroize();
        hasher.update(bound_to.channel);
        hasher.update(&bound_to.client.0);
        hasher.update(&bound_to.server.0);
        // The last part, and all before it have fixed lengths: no two bindings give the same bytes.
        hasher.update(bound_to.name);
        let proof = Proof(*hasher.finalize().as_bytes());
        hasher.zeroize();
        proof
    }

    /// Whether the proof is of this secret, in a time that does not tell how much of it is right.
    pub fn is_proven(&self, proof: &Proof, bound_to: &ProofBinding<'_>) -> bool {
        blake3::Hash::from_bytes(self.proof(bound_to).0) == blake3::Hash::from_bytes(proof.0)
    }
}

/// What a proof holds for.
#[derive(Debug, Clone, Copy)]
pub struct ProofBinding<'a> {
    /// Of the encrypted stream: RFC 9266's `EXPORTER-Channel-Binding`, 32 bytes. Differs in every connection.
    pub channel: &'a [u8; 32],
    pub client: &'a KeyHash,
    pub server: &'a KeyHash,
    /// As the client calls itself.
    pub name: &'a [u8],
}

/// A keyed BLAKE3 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof(pub [u8; 32]);

impl Serialize for Proof {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Proof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(bytes.into_array()))
    }
}

/// The part of a Hello by which a client that the server does not know yet is enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// `user@host`, or whatever the client wants to be called, at most 128 bytes; for people, not for decisions.
    pub name: PeerText<CLIENT_NAME_BYTES_MAX>,
    pub proof: Proof,
}

/// A one-time code: which server, and its secret. A person carries it, in 60 letters and digits, from the server's screen to the
/// client's prompt. Cannot be printed but by [`PairingCode::text`].
#[allow(missing_debug_implementations, reason = "it holds a secret")]
#[derive(Clone)]
pub struct PairingCode {
    pub server: [u8; KEY_HASH_BYTES_IN_CODE],
    pub secret: PairingSecret,
}

/// Why a text is no pairing code. Never says any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    #[error("there is none")]
    Empty,
    #[error("a pairing code begins with '{CODE_BEGINS}' and has 60 letters and digits")]
    NotACode,
    #[error("a letter of it is wrong; copy it once more")]
    Misspelt,
}

impl PairingCode {
    pub fn new(server: &KeyHash, secret: PairingSecret) -> Self {
        let mut begin = [0; KEY_HASH_BYTES_IN_CODE];
        begin.copy_from_slice(&server.0[..KEY_HASH_BYTES_IN_CODE]);
        Self { server: begin, secret }
    }

    /// What the code says of the server's key.
    pub const fn pin(&self) -> Pin {
        Pin::FromCode(self.server)
    }

    /// One word for a person to copy.
    pub fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; CODE_BYTES]);
        let (server, rest) = bytes.split_at_mut(KEY_HASH_BYTES_IN_CODE);
        let (secret, check) = rest.split_at_mut(SECRET_BYTES);
        server.copy_from_slice(&self.server);
        secret.copy_from_slice(self.secret.bytes());
        check.copy_from_slice(&check_bytes(server, secret));
        let mut text = Zeroizing::new(String::with_capacity(CODE_BEGINS.len() + CODE_BYTES * 8 / 5));
        text.push_str(CODE_BEGINS);
        // 35 bytes are 56 digits exactly.
        for five in bytes.chunks_exact(5) {
            let number = five.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            for digit in (0..8).rev() {
                text.push(char::from(ALPHABET[(number >> (digit * 5)) as usize & 31]));
            }
        }
        text
    }

    /// As a person typed or pasted it: blanks, line ends, hyphens and capitals do not matter.
    pub fn parse(typed: &str) -> Result<Self, BadCode> {
        if typed.trim().is_empty() {
            return Err(BadCode::Empty);
        }
        if typed.len() > TYPED_BYTES_MAX {
            return Err(BadCode::NotACode);
        }
        let mut word = Zeroizing::new(String::with_capacity(typed.len()));
        let letters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
        word.extend(letters.map(|c| c.to_ascii_lowercase()));
        let digits = word.strip_prefix(CODE_BEGINS).ok_or(BadCode::NotACode)?;
        if digits.len() != CODE_BYTES * 8 / 5 {
            return Err(BadCode::NotACode);
        }
        let mut bytes = Zeroizing::new([0; CODE_BYTES]);
        for (five, eight) in bytes.chunks_exact_mut(5).zip(digits.as_bytes().chunks_exact(8)) {
            let mut number = 0_u64;
            for letter in eight {
                number = number << 5 | digit(*letter).ok_or(BadCode::NotACode)?;
            }
            five.copy_from_slice(&number.to_be_bytes()[3..]);
        }
        let (server, rest) = bytes.split_at(KEY_HASH_BYTES_IN_CODE);
        let (secret, check) = rest.split_at(SECRET_BYTES);
        if check != check_bytes(server, secret) {
            return Err(BadCode::Misspelt);
        }
        let mut code = Self { server: [0; _], secret: PairingSecret(Zeroizing::new([0; SECRET_BYTES])) };
        code.server.copy_from_slice(server);
        code.secret.0.copy_from_slice(secret);
        Ok(code)
    }
}

/// The value of one digit; letters that are taken for others are what they look like.
fn digit(letter: u8) -> Option<u64> {
    let letter = match letter {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        letter => letter,
    };
    ALPHABET.iter().position(|known| *known == letter).map(|at| at as u64)
}

fn check_bytes(server: &[u8], secret: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key(CHECK_CONTEXT);
    hasher.update(server).update(secret);
    let [a, b, c, ..] = *hasher.finalize().as_bytes();
    hasher.zeroize();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> PairingSecret {
        PairingSecret::new(Zeroizing::new([byte; SECRET_BYTES]))
    }

    const SERVER: KeyHash = KeyHash([7; 32]);
    const CLIENT: KeyHash = KeyHash([9; 32]);

    fn code() -> PairingCode {
        PairingCode::new(&SERVER, secret(0xa5))
    }

    fn parsed(typed: &str) -> Result<(), BadCode> {
        PairingCode::parse(typed).map(|found| {
            assert_eq!(found.server, code().server);
            assert_eq!(found.secret.bytes(), code().secret.bytes());
        })
    }

    #[test]
    fn a_code_is_one_word_that_survives_paste_and_pen() {
        let text = code().text();
        assert_eq!(text.len(), 60);
        assert!(text.starts_with("tow1") && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(parsed(&text), Ok(()));
        assert_eq!(parsed(&format!("  {}\r\n", text.to_uppercase())), Ok(()));
        assert_eq!(parsed(&format!("{}\n{}-{}", &text[..20], &text[20..40], &text[40..])), Ok(()));
        let (begin, rest) = text.split_at(4);
        assert_eq!(parsed(&format!("{begin}{}", rest.replace('0', "O").replace('1', "l"))), Ok(()));
    }

    #[test]
    fn what_is_no_code_is_told_apart_from_a_misspelt_one() {
        let text = code().text();
        assert_eq!(parsed(""), Err(BadCode::Empty));
        assert_eq!(parsed(" \n"), Err(BadCode::Empty));
        // The letters that are taken for digits are taken for them among the digits.
        for typed in [&*text.replacen("tow1", "t0w1", 1), &*text.replacen("tow1", "towl", 1)] {
            assert_eq!(parsed(typed), Err(BadCode::NotACode), "{typed}");
        }
        for typed in ["hello", "tow1", &text[..59], &format!("{}x", &*text), "tow2", &"x".repeat(5000)] {
            assert_eq!(parsed(typed), Err(BadCode::NotACode), "{typed}");
        }
        let not_a_digit = format!("{}u{}", &text[..30], &text[31..]);
        assert_eq!(parsed(&not_a_digit), Err(BadCode::NotACode));
        assert_eq!(parsed(&format!("{}é", &text[..58])), Err(BadCode::NotACode));
        for at in 4..60 {
            let other = if text.as_bytes()[at] == b'0' { "2" } else { "0" };
            let misspelt = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            assert_eq!(parsed(&misspelt), Err(BadCode::Misspelt), "letter {at}");
        }
    }

    #[test]
    fn a_fingerprint_is_written_as_ssh_writes_it_and_read_back() {
        let text = SERVER.to_string();
        assert_eq!(text, "SHA256:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        assert_eq!(text.parse(), Ok(SERVER));
        for wrong in
            ["", "SHA256:", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc", &format!("{text}="), "MD5:00"]
        {
            assert_eq!(wrong.parse::<KeyHash>(), Err(NotAKeyHash));
        }
        assert!(text.starts_with(code().pin().to_string().trim_end_matches('…')));
    }

    #[test]
    fn a_pin_fits_its_key_and_no_other() {
        let mut other = SERVER;
        other.0[KEY_HASH_BYTES_IN_CODE - 1] ^= 1;
        assert!(Pin::Known(SERVER).fits(&SERVER) && code().pin().fits(&SERVER));
        assert!(!Pin::Known(SERVER).fits(&other) && !code().pin().fits(&other));
    }

    #[test]
    fn f57_a_proof_holds_for_one_connection_one_key_one_server_and_one_name() {
        let bound = ProofBinding { channel: &[1; 32], client: &CLIENT, server: &SERVER, name: b"ann@box" };
        let proof = secret(1).proof(&bound);
        assert!(secret(1).is_proven(&proof, &bound));
        assert!(!secret(2).is_proven(&proof, &bound));
        for other in [
            ProofBinding { channel: &[2; 32], ..bound },
            ProofBinding { client: &SERVER, ..bound },
            ProofBinding { server: &CLIENT, ..bound },
            ProofBinding { name: b"ann@box2", ..bound },
            ProofBinding { name: b"", ..bound },
        ] {
            assert!(!secret(1).is_proven(&proof, &other), "{other:?}");
        }
    }
}
