//! What both sides agree on before they speak: TLS 1.3 and nothing older, X25519, AES-GCM or ChaCha20-Poly1305, Ed25519 keys without
//! certificates, ALPN, no tickets, no resumption, no early data. And the two verifiers: the client's knows whom it wants to meet, the
//! server's takes any key that is proven and leaves the rest to the list of clients.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ClientConfig, Resumption};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, ServerConfig};
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme,
};
use towpath_protocol::hello::PROTOCOL_VERSION;
use towpath_protocol::pairing::{KeyHash, Pin};

use crate::identity::{Identity, key_hash};

/// `SubjectPublicKeyInfo` of an Ed25519 key, up to its 32 bytes (RFC 8410).
const ED25519_SPKI_BEGINS: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
const ED25519_KEY_BYTES: usize = 32;

/// `towpath/1`: another version of the protocol does not even begin to speak.
pub(crate) fn alpn() -> Vec<u8> {
    format!("towpath/{PROTOCOL_VERSION}").into_bytes()
}

/// AES of 128 bits first: as strong as the keys, and the fastest where the processor knows it.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![X25519],
        ..rustls::crypto::ring::default_provider()
    })
}

/// A server's settings, once for all its connections.
pub(crate) fn server(identity: &Identity) -> Result<ServerConfig, Error> {
    let provider = provider();
    let clients = Arc::new(AnyKey(provider.signature_verification_algorithms));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity.key())));
    config.alpn_protocols = vec![alpn()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// A client's settings for one connection, and the key that it met if that was not the pinned one. Without a pin it refuses every key.
pub(crate) fn client(
    identity: &Identity,
    pin: Option<Pin>,
) -> Result<(ClientConfig, Arc<OnceLock<KeyHash>>), Error> {
    let provider = provider();
    let found = Arc::new(OnceLock::new());
    let server =
        PinnedKey { pin, other: found.clone(), algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(server))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity.key())));
    config.alpn_protocols = vec![alpn()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok((config, found))
}

/// The client's: one key and no other; none at all without a pin.
#[derive(Debug)]
struct PinnedKey {
    pin: Option<Pin>,
    /// The key that was shown instead.
    other: Arc<OnceLock<KeyHash>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedKey {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = only_an_ed25519_key(shown, more)?;
        if self.pin.is_some_and(|pin| pin.fits(&found)) {
            return Ok(ServerCertVerified::assertion());
        }
        let _ = self.other.set(found);
        // The server hears by the alert which of the two it is.
        Err(match self.pin {
            Some(_) => CertificateError::ApplicationVerificationFailure.into(),
            None => CertificateError::UnknownIssuer.into(),
        })
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        is_signed(message, key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The server's: any key, if whoever shows it has it.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        only_an_ed25519_key(shown, more).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        is_signed(message, key, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn only_an_ed25519_key(shown: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> Result<KeyHash, Error> {
    let is_key = shown.strip_prefix(&ED25519_SPKI_BEGINS).is_some_and(|key| key.len() == ED25519_KEY_BYTES);
    if is_key && more.is_empty() { Ok(key_hash(shown)) } else { Err(CertificateError::BadEncoding.into()) }
}

fn is_signed(
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}
