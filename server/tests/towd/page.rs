//! What PROTOCOL.md says of a session beside its messages, held against the server as it runs.

use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::{Answer, Bye, Ping, Session, ToServer};
use towpath_protocol::request::{BeginUpload, Existing, MakeFolder, OperationId, Space};

use super::log::put;
use super::world::{Towd, at, folder};

#[test]
fn of_the_sessions_own_words_the_id_does_not_matter() {
    let root = folder(&[]);
    let towd = Towd::on_socket(root.path());
    // Its Hello was under id 0.
    let mut client = towd.connect();
    for id in [0, 77] {
        client.say(id, &ToServer::Session(Session::Ping(Ping {})));
        assert!(matches!(client.hear(), Some((heard, Answer::Pong(_))) if heard == id));
    }
    client.say(77, &ToServer::Session(Session::Bye(Bye {})));
    assert!(matches!(client.hear(), Some((_, Answer::Bye(_)))));
    assert!(client.hear().is_none());
}

#[test]
fn of_a_request_under_an_id_in_use_nothing_is_done_and_the_open_one_ends() {
    let root = folder(&[]);
    let towd = Towd::on_socket(root.path());
    let mut client = towd.connect();
    let begin = BeginUpload {
        operation: OperationId([5; 16]),
        file: at("file"),
        store: put("file", b"").store,
        size: 10,
        resume: None,
        basis: None,
        window_bytes: None,
        stored_bytes: None,
    };
    client.say(9, &ToServer::Request(begin.into()));
    assert!(matches!(client.hear(), Some((9, Answer::UploadReady(_)))));
    let folder = MakeFolder {
        operation: OperationId([6; 16]),
        folder: at("folder"),
        mode: 0o755,
        existing: Existing::Keep,
    };
    client.say(9, &ToServer::Request(folder.into()));
    assert!(matches!(client.hear(), Some((9, Answer::Fault(fault))) if fault.code == FaultCode::OutOfOrder));
    assert!(!root.path().join("folder").exists() && !root.path().join("file").exists());
    // The session goes on, and the id is free.
    client.say(9, &ToServer::Request(Space { path: at("").path }.into()));
    assert!(matches!(client.hear(), Some((9, Answer::SpaceInfo(_)))));
}
