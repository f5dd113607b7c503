//! Sessions of several connections, as the real server keeps them: who may join, and that all of them end at once with the right to be
//! there.

use std::time::{Duration, Instant};

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Ticket;
use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Space;

use super::tls::{House, Person, Session};
use super::world::folder;

/// A session of three connections, and its ticket.
fn session(house: &House, person: &Person) -> (Session, [Session; 2], Ticket) {
    let primary = house.meet_with_streams(person);
    let ticket = primary.welcome.as_ref().unwrap().ticket.expect("a ticket");
    let joined = [(); 2].map(|()| house.try_join(person, Some(ticket)).unwrap());
    (primary, joined, ticket)
}

fn refused(joined: Result<Session, Fault>) -> FaultCode {
    joined.err().expect("it was let in").code
}

fn assert_alive(session: &mut Session) {
    assert!(matches!(session.call(Space { path: WirePath::root() }).1, Answer::SpaceInfo(_)));
}

#[test]
fn f64_who_is_removed_or_may_do_something_else_loses_all_connections_at_once() {
    let root = folder(&[("file", b"file")]);
    let house = House::new(root.path(), &[]);
    let (ann, bob) = (house.paired("ann@box", &[]), house.paired("bob@box", &[]));
    let (mut others, mut others_joined, others_ticket) = session(&house, &bob);
    for (words, code) in [
        (&["clients", "set", "1", "--allow", "list"][..], FaultCode::PermissionDenied),
        (&["clients", "remove", "1"], FaultCode::NotPaired),
    ] {
        let (mut primary, joined, ticket) = session(&house, &ann);
        house.state.says(words);
        match primary.hear() {
            Some((0, Answer::Fault(fault))) => assert_eq!(fault.code, code, "{words:?}"),
            other => panic!("{words:?}: {other:?}"),
        }
        assert_eq!(primary.hear(), None, "{words:?}");
        for mut joined in joined {
            assert_eq!(joined.hear(), None, "{words:?}");
        }
        assert_eq!(refused(house.try_join(&ann, Some(ticket))), FaultCode::PermissionDenied, "{words:?}");
    }
    assert_eq!(refused(house.meet(&ann, None)), FaultCode::NotPaired);
    assert_eq!(refused(house.try_join(&ann, Some(others_ticket))), FaultCode::PermissionDenied);
    assert_alive(&mut others);
    for joined in &mut others_joined {
        // What it has not been told is that it ends.
        joined.assert_silent();
    }
}

#[test]
fn f48_a_ticket_is_good_for_its_own_client_as_often_as_it_says_and_as_long_as_its_session() {
    let root = folder(&[]);
    let house = House::new(root.path(), &["--limit", "streams=2"]);
    let (ann, bob) = (house.paired("ann@box", &[]), house.paired("bob@box", &[]));
    let mut primary = house.meet_with_streams(&ann);
    let ticket = primary.welcome.as_ref().unwrap().ticket.unwrap();
    assert_eq!(refused(house.try_join(&bob, Some(ticket))), FaultCode::PermissionDenied, "another's");
    let stranger = Person::new("eve@box");
    assert_eq!(refused(house.try_join(&stranger, Some(ticket))), FaultCode::PermissionDenied, "a stranger's");
    let joined = house.try_join(&ann, Some(ticket)).unwrap();
    assert_eq!(joined.welcome.as_ref().unwrap().ticket, None);
    assert_eq!(refused(house.try_join(&ann, Some(ticket))), FaultCode::LimitExceeded, "used up");
    assert_alive(&mut primary);
    drop((primary, joined));
    let again = house.meet_with_streams(&ann);
    assert_ne!(again.welcome.as_ref().unwrap().ticket, Some(ticket));
    // The server notices the end in its own time.
    let began = Instant::now();
    while refused(house.try_join(&ann, Some(ticket))) != FaultCode::PermissionDenied {
        assert!(began.elapsed() < Duration::from_secs(30), "the session is over");
    }
    let shown = format!("{ticket:?}");
    let hex = shown.trim_start_matches("Ticket(").trim_end_matches(')');
    assert_eq!(hex.len(), 32);
    let log = house.towd.log.all().join("\n");
    assert!(!log.contains(hex), "{log}");
}
