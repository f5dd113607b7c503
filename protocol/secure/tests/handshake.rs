//! Both peers in one process, over a pipe: who gets a session with whom, what is refused, and what an end is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use rustls::client::{AlwaysResolvesClientRawPublicKeys, ClientConfig};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{default_provider, kx_group};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use towpath_protocol::pairing::{KeyHash, PairingCode, PairingSecret, Pin, ProofBinding, SECRET_BYTES};
use towpath_secure::{Acceptor, Identity, Secure, SecureFault, connect, probe};

const PIPE_BYTES: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

fn identity() -> Identity {
    Identity::passing().unwrap()
}

fn code_of(server: &Identity) -> PairingCode {
    PairingCode::new(&server.hash(), PairingSecret::new([7; SECRET_BYTES].into()))
}

type Met = (Result<Secure<DuplexStream>, SecureFault>, Result<Secure<DuplexStream>, SecureFault>);

/// What comes of it at both ends: the client's first.
async fn meet(client: &Identity, server: &Identity, pin: Pin) -> Met {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let acceptor = Acceptor::new(server).unwrap();
    let met = async { tokio::join!(connect(ours, client, pin), acceptor.accept(theirs)) };
    timeout(PATIENCE, met).await.expect("a handshake hangs")
}

async fn pair_of_streams() -> (Secure<DuplexStream>, Secure<DuplexStream>) {
    let (client, server) = (identity(), identity());
    let (ours, theirs) = meet(&client, &server, Pin::Known(server.hash())).await;
    (ours.unwrap(), theirs.unwrap())
}

#[tokio::test]
async fn each_side_knows_the_others_key_and_both_the_channel() {
    let (client, server) = (identity(), identity());
    for pin in [Pin::Known(server.hash()), code_of(&server).pin()] {
        let (ours, theirs) = meet(&client, &server, pin).await;
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!((ours.peer, theirs.peer), (server.hash(), client.hash()));
        assert_eq!(ours.channel, theirs.channel);
        assert_ne!(*ours.channel, [0; 32]);
        ours.stream.write_all(b"hello").await.unwrap();
        ours.stream.flush().await.unwrap();
        let mut heard = [0; 5];
        theirs.stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test]
async fn f55_a_changed_server_key_ends_it_and_both_fingerprints_are_told() {
    let (client, server, other) = (identity(), identity(), identity());
    for pin in [Pin::Known(server.hash()), code_of(&server).pin()] {
        let (ours, theirs) = meet(&client, &other, pin).await;
        let fault = ours.unwrap_err();
        assert!(
            matches!(fault, SecureFault::OtherKey { known, found } if known == pin && found == other.hash())
        );
        let said = fault.to_string();
        assert!(said.contains(&pin.to_string()) && said.contains(&other.hash().to_string()), "{said}");
        theirs.unwrap_err();
    }
}

/// A stream that keeps what goes out.
async fn copy_and_keep(
    mut from: tokio::io::ReadHalf<DuplexStream>,
    mut to: tokio::io::WriteHalf<DuplexStream>,
) -> Vec<u8> {
    let (mut kept, mut bytes) = (Vec::new(), vec![0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        kept.extend_from_slice(&bytes[..count]);
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    kept
}

#[tokio::test]
async fn f55_whoever_stands_between_with_another_key_learns_nothing_about_the_client() {
    let (client, server, thief) = (identity(), identity(), identity());
    let (ours, middle) = duplex(PIPE_BYTES);
    let (middle_out, theirs) = duplex(PIPE_BYTES);
    let ((from_client, to_client), (from_thief, to_thief)) =
        (tokio::io::split(middle), tokio::io::split(middle_out));
    let acceptor = Acceptor::new(&thief).unwrap();
    let code = code_of(&server);
    let (connected, accepted, said, _) = tokio::join!(
        connect(ours, &client, code.pin()),
        acceptor.accept(theirs),
        copy_and_keep(from_client, to_thief),
        copy_and_keep(from_thief, to_client),
    );
    assert!(matches!(connected, Err(SecureFault::OtherKey { .. })));
    accepted.unwrap_err();
    // No key of the client's, no name of a host, nothing of the code.
    only_a_hello(&said, &[&client.hash().0[..], code.secret.bytes(), &code.server, b"towd"]);
}

/// A client has said a `ClientHello` and an alert, and none of its secrets.
fn only_a_hello(said: &[u8], secrets: &[&[u8]]) {
    assert_eq!((said[0], said[5]), (22, 1));
    for secret in secrets {
        assert!(!said.windows(secret.len()).any(|window| window == *secret));
    }
    let hello_bytes = 5 + usize::from(u16::from_be_bytes([said[3], said[4]]));
    assert!(said.len() - hello_bytes < 64, "{} bytes behind the ClientHello", said.len() - hello_bytes);
}

#[tokio::test]
async fn f56_a_probe_finds_the_key_and_tells_nothing() {
    let (client, server) = (identity(), identity());
    let (ours, middle) = duplex(PIPE_BYTES);
    let (middle_out, theirs) = duplex(PIPE_BYTES);
    let ((from_client, to_client), (from_server, to_server)) =
        (tokio::io::split(middle), tokio::io::split(middle_out));
    let acceptor = Acceptor::new(&server).unwrap();
    let (probed, accepted, said, _) = tokio::join!(
        probe(ours, &client),
        acceptor.accept(theirs),
        copy_and_keep(from_client, to_server),
        copy_and_keep(from_server, to_client),
    );
    assert_eq!(probed.unwrap(), server.hash());
    assert!(matches!(accepted, Err(SecureFault::Probed)));
    only_a_hello(&said, &[&client.hash().0[..], b"towd"]);
}

#[tokio::test]
async fn a_probe_tells_what_else_answers() {
    let (ours, mut theirs) = duplex(PIPE_BYTES);
    let client = identity();
    let answering = async {
        theirs.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
        theirs
    };
    let (probed, _theirs) = tokio::join!(probe(ours, &client), answering);
    assert!(matches!(probed, Err(SecureFault::NotTls { said }) if said.starts_with(b"SSH-2.0")));
    let (ours, theirs) = duplex(PIPE_BYTES);
    drop(theirs);
    probe(ours, &client).await.unwrap_err();
}

#[tokio::test]
async fn f57_a_proof_of_one_session_is_worth_nothing_in_another() {
    let (client, server) = (identity(), identity());
    let secret = code_of(&server).secret;
    let mut proofs = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = meet(&client, &server, Pin::Known(server.hash())).await;
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        let (client, server) = (client.hash(), server.hash());
        let bound = |channel| ProofBinding { channel, client: &client, server: &server, name: b"ann@box" };
        let proof = secret.proof(&bound(&ours.channel));
        assert!(secret.is_proven(&proof, &bound(&theirs.channel)));
        for earlier in &proofs {
            assert!(!secret.is_proven(earlier, &bound(&theirs.channel)));
        }
        proofs.push(proof);
    }
}

#[tokio::test]
async fn nothing_more_is_taken_in_while_what_is_encrypted_waits() {
    let (mut ours, mut theirs) = pair_of_streams().await;
    let piece = [7; 4096];
    let mut sent = 0;
    // Nobody reads: the pipe fills.
    while let Ok(written) = timeout(Duration::from_millis(100), ours.stream.write(&piece)).await {
        sent += written.unwrap();
    }
    assert!((PIPE_BYTES - 2 * piece.len()..=PIPE_BYTES + piece.len()).contains(&sent), "{sent} bytes");
    let mut heard = vec![0; sent];
    let (flushed, read) = tokio::join!(ours.stream.flush(), theirs.stream.read_exact(&mut heard));
    flushed.unwrap();
    read.unwrap();
    assert!(heard.iter().all(|byte| *byte == 7), "and nothing is lost of it");
}

#[tokio::test]
async fn f65_a_stream_that_stops_without_close_notify_was_cut() {
    let (ours, mut theirs) = pair_of_streams().await;
    drop(ours);
    let error = theirs.stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);

    let (mut ours, mut theirs) = pair_of_streams().await;
    ours.stream.write_all(b"bye").await.unwrap();
    ours.stream.shutdown().await.unwrap();
    drop(ours);
    let mut said = Vec::new();
    theirs.stream.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, b"bye");
}

/// What a server answers to these bytes, and what it makes of them.
async fn answered(hello: &[u8]) -> (Vec<u8>, Result<Secure<DuplexStream>, SecureFault>) {
    let (mut ours, theirs) = duplex(PIPE_BYTES);
    let acceptor = Acceptor::new(&identity()).unwrap();
    let asking = async {
        ours.write_all(hello).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await.unwrap();
        answer
    };
    timeout(PATIENCE, async { tokio::join!(asking, acceptor.accept(theirs)) }).await.unwrap()
}

/// A `ClientHello` of TLS 1.2 as it was: two suites, a group, a signature scheme; no `supported_versions`.
fn tls_1_2_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(0);
    body.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let extensions: &[&[u8]] = &[
        &[0, 10, 0, 4, 0, 2, 0, 0x1d],
        &[0, 13, 0, 4, 0, 2, 8, 7],
        &[0, 16, 0, 12, 0, 10, 9, b't', b'o', b'w', b'p', b'a', b't', b'h', b'/', b'1'],
    ];
    let extensions = extensions.concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut hello = vec![22, 3, 1];
    hello.extend((body.len() as u16 + 4).to_be_bytes());
    hello.extend([1, 0]);
    hello.extend((body.len() as u16).to_be_bytes());
    hello.extend(body);
    hello
}

#[tokio::test]
async fn f65_tls_1_2_is_refused() {
    let (answer, met) = answered(&tls_1_2_hello()).await;
    let fault = met.unwrap_err();
    assert!(matches!(fault, SecureFault::OtherTls), "{fault}");
    // A fatal alert: protocol_version, or handshake_failure where nothing of 1.3 was offered.
    assert_eq!((answer[0], answer[5]), (21, 2), "{answer:?}");
    assert_eq!(answer[6], 70, "{answer:?}");
}

/// A client of ours in all but ALPN, which takes any server.
fn without_our_alpn(alpn: &[&[u8]]) -> ClientConfig {
    stranger(default_provider(), alpn)
}

/// A client that offers what it likes, and takes any server.
fn stranger(provider: CryptoProvider, alpn: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(any_server::AnyServer))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(any_server::key())));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

#[tokio::test]
async fn f65_without_the_protocols_name_and_version_there_is_no_session() {
    for alpn in [&[][..], &[&b"towpath/2"[..]], &[b"h2", b"http/1.1"]] {
        let (ours, theirs) = duplex(PIPE_BYTES);
        let acceptor = Acceptor::new(&identity()).unwrap();
        let connector = TlsConnector::from(Arc::new(without_our_alpn(alpn)));
        let name = ServerName::try_from("towd").unwrap();
        let asking = async {
            let Ok(mut stream) = connector.connect(name, ours).await else { return };
            // The server closes without a word of the protocol.
            assert!(!matches!(stream.read(&mut [0; 8]).await, Ok(1..)));
        };
        let ((), met) =
            timeout(PATIENCE, async { tokio::join!(asking, acceptor.accept(theirs)) }).await.unwrap();
        let fault = met.unwrap_err();
        assert!(matches!(fault, SecureFault::OtherProtocol), "{alpn:?}: {fault}");
    }
}

/// The results at both ends for this offer of the client.
async fn offer(
    provider: CryptoProvider,
) -> (std::io::Result<TlsStream<DuplexStream>>, Result<Secure<DuplexStream>, SecureFault>) {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let acceptor = Acceptor::new(&identity()).unwrap();
    let connector = TlsConnector::from(Arc::new(stranger(provider, &[b"towpath/1"])));
    let name = ServerName::try_from("towd").unwrap();
    let met = async { tokio::join!(connector.connect(name, ours), acceptor.accept(theirs)) };
    timeout(PATIENCE, met).await.expect("a handshake hangs")
}

/// Chapter 15 names three suites and one group.
#[tokio::test]
async fn f65_each_suite_of_the_page_is_taken_and_no_group_but_x25519() {
    let suites = [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    let groups = |names: &[NamedGroup]| {
        let known = [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
        known.into_iter().filter(|group| names.contains(&group.name())).collect::<Vec<_>>()
    };
    for suite in suites {
        let mut provider = default_provider();
        provider.cipher_suites.retain(|known| known.suite() == suite);
        let (ours, theirs) = offer(provider).await;
        let ours = ours.unwrap();
        theirs.unwrap();
        let agreed = ours.get_ref().1;
        assert_eq!(agreed.negotiated_cipher_suite().unwrap().suite(), suite);
        assert_eq!(agreed.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519);
    }
    let kx_groups = groups(&[NamedGroup::secp256r1, NamedGroup::secp384r1]);
    assert_eq!(kx_groups.len(), 2);
    let (ours, theirs) = offer(CryptoProvider { kx_groups, ..default_provider() }).await;
    assert!(ours.is_err() && theirs.is_err(), "another group");
}

/// Chapter 15: 32 are taken without data in between, and the next one ends the connection.
#[tokio::test]
async fn f65_more_than_32_key_updates_without_data_between_them_end_the_connection() {
    for (updates, is_taken) in [(32, true), (33, false)] {
        let (ours, theirs) = offer(default_provider()).await;
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        for _ in 0..2 {
            for _ in 0..updates {
                ours.get_mut().1.refresh_traffic_keys().unwrap();
            }
            let said = async {
                let _ = ours.write_all(b"data").await;
                let _ = ours.flush().await;
            };
            let mut heard = [0; 4];
            let hearing = timeout(PATIENCE, theirs.stream.read_exact(&mut heard));
            let ((), heard) = tokio::join!(said, hearing);
            assert_eq!(heard.expect("it neither comes nor ends").is_ok(), is_taken, "{updates}");
        }
    }
}

#[tokio::test]
async fn whoever_does_not_speak_tls_is_told_what_this_is() {
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"TOWPATH1", b"\0\0\0\0"] {
        let (answer, met) = answered(said).await;
        assert_eq!(answer, b"This is towd. It speaks TLS 1.3 with tow, and nothing else.\n");
        let Err(SecureFault::NotTls { said: heard }) = met else { panic!() };
        assert_eq!(heard, said);
    }
    let (answer, met) = answered(b"").await;
    assert!(answer.is_empty() && matches!(met, Err(SecureFault::Closed)));
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_heard_out() {
    for said in [&b"SSH-2.0-OpenSSH_10.0\r\n"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"TOWPATH1"] {
        let (ours, mut theirs) = duplex(PIPE_BYTES);
        let answering = async {
            theirs.write_all(said).await.unwrap();
            theirs.shutdown().await.unwrap();
            let _ = theirs.read(&mut [0; 4096]).await;
        };
        let (client, pin) = (identity(), Pin::Known(KeyHash([0; 32])));
        let (met, ()) = tokio::join!(connect(ours, &client, pin), answering);
        let Err(SecureFault::NotTls { said: heard }) = met else { panic!() };
        assert!(said.starts_with(&heard) && heard.len() >= 5, "{heard:?}");
    }
    let (ours, theirs) = duplex(PIPE_BYTES);
    drop(theirs);
    let met = connect(ours, &identity(), Pin::Known(KeyHash([0; 32]))).await;
    assert!(matches!(met, Err(SecureFault::Closed | SecureFault::Lost(_))));
}

#[tokio::test]
async fn a_handshake_cut_anywhere_gives_no_session_and_no_hang() {
    let (client, server) = (identity(), identity());
    for cut in (0..400).step_by(13) {
        let (ours, mut theirs) = duplex(PIPE_BYTES);
        let (mut middle, for_server) = duplex(PIPE_BYTES);
        let acceptor = Acceptor::new(&server).unwrap();
        let cutting = async {
            let mut bytes = vec![0; 4096];
            let hello = theirs.read(&mut bytes).await.unwrap();
            middle.write_all(&bytes[..hello]).await.unwrap();
            let answer = middle.read(&mut bytes).await.unwrap();
            theirs.write_all(&bytes[..answer.min(cut)]).await.unwrap();
            drop((theirs, middle));
        };
        let met = async {
            tokio::join!(
                connect(ours, &client, Pin::Known(server.hash())),
                acceptor.accept(for_server),
                cutting
            )
        };
        let (ours, theirs, ()) = timeout(PATIENCE, met).await.expect("a cut handshake hangs");
        assert!(ours.is_err() && theirs.is_err(), "cut after {cut} bytes");
    }
}

/// Whoever takes any server's key for good: what no client of ours does.
mod any_server {
    use std::sync::Arc;

    use rustls::Error;
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::ring::sign::any_eddsa_type;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
    use rustls::sign::CertifiedKey;
    use rustls::{DigitallySignedStruct, SignatureScheme};

    #[derive(Debug)]
    pub struct AnyServer;

    impl ServerCertVerifier for AnyServer {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.2".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    }

    pub fn key() -> Arc<CertifiedKey> {
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend([3; 32]);
        let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(der)).unwrap();
        let public = CertificateDer::from(key.public_key().unwrap().as_ref().to_vec());
        Arc::new(CertifiedKey::new(vec![public], key))
    }
}
