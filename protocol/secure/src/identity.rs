//! A machine's own key: made once from the system's random numbers, kept in a private folder, never printed.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use towpath_files::private_files::{Locked, PrivateFault, PrivateFolder};
use towpath_protocol::pairing::KeyHash;
use zeroize::Zeroizing;

/// The file in the private folder: PKCS #8 in PEM, as `openssl pkey` reads and writes it.
pub const IDENTITY_FILE: &str = "identity.pem";
/// PKCS #8 of an Ed25519 key, up to its 32 bytes of seed (RFC 8410).
const PKCS8_BEGINS: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const SEED_BYTES: usize = 32;

/// A key pair. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    hash: KeyHash,
}

/// Its name, never its key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.hash)
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFault {
    #[error(transparent)]
    File(#[from] PrivateFault),
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl Identity {
    /// The folder's own key; a new one where it has none yet.
    pub fn load_or_make(folder: &PrivateFolder) -> Result<Self, IdentityFault> {
        match folder.read(IDENTITY_FILE)? {
            Some(pem) => Ok(Self::of_file(folder, &pem)?),
            None => Self::make(folder, &folder.lock()?),
        }
    }

    /// Another program may have been quicker; then its key is ours.
    fn make(folder: &PrivateFolder, locked: &Locked<'_>) -> Result<Self, IdentityFault> {
        if let Some(pem) = locked.read(IDENTITY_FILE)? {
            return Ok(Self::of_file(folder, &pem)?);
        }
        let der = random_key()?;
        locked.write(IDENTITY_FILE, pem_of(&der[..]).as_bytes())?;
        Self::of_der(&der[..]).ok_or(IdentityFault::NoRandom)
    }

    fn of_file(folder: &PrivateFolder, pem: &[u8]) -> Result<Self, PrivateFault> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok();
        let identity = der.and_then(|der| Self::of_der(der.secret_pkcs8_der()));
        identity.ok_or_else(|| folder.not_understood(IDENTITY_FILE, "not an Ed25519 key in PEM"))
    }

    /// A key that is kept nowhere.
    pub fn passing() -> Result<Self, IdentityFault> {
        Self::of_der(&random_key()?[..]).ok_or(IdentityFault::NoRandom)
    }

    fn of_der(der: &[u8]) -> Option<Self> {
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(der)).ok()?;
        let public = CertificateDer::from(key.public_key()?.as_ref().to_vec());
        let hash = key_hash(&public);
        Some(Self { key: Arc::new(CertifiedKey::new(vec![public], key)), hash })
    }

    /// The name of its public half.
    pub const fn hash(&self) -> KeyHash {
        self.hash
    }

    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }
}

/// Of a `SubjectPublicKeyInfo` in DER.
pub(crate) fn key_hash(public: &[u8]) -> KeyHash {
    let mut hash = KeyHash([0; 32]);
    hash.0.copy_from_slice(digest(&SHA256, public).as_ref());
    hash
}

fn random_key() -> Result<Zeroizing<[u8; PKCS8_BEGINS.len() + SEED_BYTES]>, IdentityFault> {
    let mut der = Zeroizing::new([0; PKCS8_BEGINS.len() + SEED_BYTES]);
    let (begin, seed) = der.split_at_mut(PKCS8_BEGINS.len());
    begin.copy_from_slice(&PKCS8_BEGINS);
    SystemRandom::new().fill(seed).map_err(|_| IdentityFault::NoRandom)?;
    Ok(der)
}

fn pem_of(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        let made = Identity::load_or_make(&folder).unwrap();
        let found = Identity::load_or_make(&folder).unwrap();
        assert_eq!(made.hash(), found.hash());
        assert_ne!(made.hash(), Identity::passing().unwrap().hash());
        let text = format!("{made:?}");
        assert_eq!(text, format!("Identity({})", made.hash()));
    }

    #[test]
    fn a_key_that_cannot_be_read_is_named_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for content in ["", "nothing", pem] {
            folder.lock().unwrap().write(IDENTITY_FILE, content.as_bytes()).unwrap();
            let fault = Identity::load_or_make(&folder).unwrap_err().to_string();
            assert!(fault.contains("identity.pem: cannot be understood"), "{fault}");
            assert_eq!(folder.read(IDENTITY_FILE).unwrap().unwrap().as_slice(), content.as_bytes());
        }
    }
}
