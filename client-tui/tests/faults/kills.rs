//! A client or a server that is killed at some moment, without warning: over a socket of this machine, and over TLS while a session has
//! several streams.

use std::time::{Duration, Instant};

use crate::far::Over;
use crate::round::{Round, Way};
use crate::world::{check_whole, check_words, ended, fraction, parts, rounds, until};

/// Under way for some seconds, so that further streams come.
const STREAMS: Over = Over::Tls(6_000_000);

/// How long it takes when nobody is killed.
fn undisturbed(way: Way, over: Over) -> Duration {
    let round = Round::new(way, over, 0);
    let server = round.serve(&[]);
    let began = Instant::now();
    let output = ended(round.tow(&server).spawn().unwrap());
    assert!(output.status.success(), "{way:?}: {output:?}");
    let took = began.elapsed();
    check_whole(&round.world.at(round.destination()), &round.new, "undisturbed");
    if let Some(line) = server.line() {
        assert!(line.connections() > 1, "{way:?}: no further stream came");
    }
    took
}

fn moment(took: Duration, round: usize) -> Duration {
    took.mul_f64(1.05 * fraction(round as u64))
}

fn kill_clients(way: Way, over: Over, times: usize) {
    let took = undisturbed(way, over);
    for number in 0..rounds(times) {
        let what = format!("{way:?}, {over:?}, client killed, round {number}");
        let round = Round::new(way, over, number);
        let server = round.serve(&[]);
        let mut tow = round.tow(&server).spawn().unwrap();
        std::thread::sleep(moment(took, number));
        let _ = tow.kill();
        ended(tow);
        if way != Way::Get {
            // The server is alive: it leaves nothing but what may be taken up again.
            until("no small part is left", || parts(&round.world.at("served")).len() <= 1);
        }
        round.check(&what);
        round.repeat(&server, &what);
    }
}

fn kill_servers(way: Way, over: Over, times: usize) {
    let took = undisturbed(way, over);
    for number in 0..rounds(times) {
        let what = format!("{way:?}, {over:?}, server killed, round {number}");
        let round = Round::new(way, over, number);
        let mut server = round.serve(&[]);
        let tow = round.tow(&server).spawn().unwrap();
        std::thread::sleep(moment(took, number + 500));
        server.kill();
        let output = ended(tow);
        check_words(&output, &what);
        match output.status.code() {
            Some(0) => check_whole(&round.world.at(round.destination()), &round.new, &what),
            code => assert_eq!(code, Some(3), "{what}: {output:?}"),
        }
        if way == Way::Get {
            // The client is alive: it leaves nothing but what may be taken up again.
            assert!(parts(&round.world.at("local/in")).len() <= 1, "{what}");
        }
        round.check(&what);
        server.restart(&round.world);
        round.repeat(&server, &what);
    }
}

#[test]
fn a_client_that_is_killed_while_it_puts_leaves_old_or_whole_files() {
    kill_clients(Way::Put, Over::Socket, 4);
}

#[test]
fn a_client_that_is_killed_while_it_gets_leaves_old_or_whole_files() {
    kill_clients(Way::Get, Over::Socket, 4);
}

#[test]
fn a_client_that_is_killed_while_it_moves_loses_nothing() {
    kill_clients(Way::Move, Over::Socket, 4);
}

#[test]
fn a_server_that_is_killed_while_it_takes_leaves_old_or_whole_files() {
    kill_servers(Way::Put, Over::Socket, 4);
}

#[test]
fn a_server_that_is_killed_while_it_gives_leaves_old_or_whole_files() {
    kill_servers(Way::Get, Over::Socket, 4);
}

#[test]
fn a_server_that_is_killed_during_a_move_loses_nothing() {
    kill_servers(Way::Move, Over::Socket, 4);
}

#[test]
fn a_client_that_is_killed_while_it_puts_by_several_streams_leaves_old_or_whole_files() {
    kill_clients(Way::Put, STREAMS, 2);
}

#[test]
fn a_client_that_is_killed_while_it_gets_by_several_streams_leaves_old_or_whole_files() {
    kill_clients(Way::Get, STREAMS, 2);
}

#[test]
fn a_client_that_is_killed_while_it_moves_by_several_streams_loses_nothing() {
    kill_clients(Way::Move, STREAMS, 2);
}

#[test]
fn a_server_that_is_killed_while_it_takes_by_several_streams_leaves_old_or_whole_files() {
    kill_servers(Way::Put, STREAMS, 2);
}

#[test]
fn a_server_that_is_killed_while_it_gives_by_several_streams_leaves_old_or_whole_files() {
    kill_servers(Way::Get, STREAMS, 2);
}

#[test]
fn a_server_that_is_killed_during_a_move_by_several_streams_loses_nothing() {
    kill_servers(Way::Move, STREAMS, 2);
}
