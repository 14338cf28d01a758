//! Connections of clients that take their time.

use super::*;
use axum::extract::Request;
use prometheus_client::metrics::gauge::Gauge;
use std::io::{Read, Write};
use std::net::TcpStream as Client;

/// More than the system keeps for a client that does not read.
const LARGE: usize = 64 << 20;

/// A server of large answers, and of small ones at /small, for clients that have a second for each.
async fn serving() -> (Client, watch::Sender<bool>, Gauge) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Gauge::default();
    let net = Net {
        tls: None,
        request: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        answer: Duration::from_secs(1),
        slowest: u64::MAX,
        places: Arc::new(Places::new(9, 1, connections.clone())),
    };
    let bytes = |request: Request| async move {
        vec![b'x'; if request.uri().path() == "/small" { 3 } else { LARGE }]
    };
    let (stop, stopped) = watch::channel(false);
    let tell = std::sync::mpsc::channel().0;
    tokio::spawn(accept(listener, Router::new().fallback(bytes), Arc::new(net), stopped, tell));
    (Client::connect(address).unwrap(), stop, connections)
}

/// Reads as slowly as this; how much there was until the server ended it.
fn read(client: &mut Client, piece: usize, pause: Duration) -> usize {
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut buffer, mut all) = (vec![0; piece], 0);
    while let Ok(bytes @ 1..) = client.read(&mut buffer) {
        all += bytes;
        std::thread::sleep(pause);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_ends_its_answer_is_cut_off() {
    let (mut client, _stop, connections) = serving().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(3_000)); // it takes nothing for a while, then all there is
    assert_eq!(connections.get(), 0, "its place is free again");
    assert!(read(&mut client, 1 << 20, Duration::ZERO) < LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_taken_have_a_second_each() {
    let (mut client, _stop, connections) = serving().await;
    let mut buffer = [0; 1_000];
    for _ in 0..8 {
        client.write_all(b"GET /small HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let bytes = client.read(&mut buffer).unwrap();
        assert!(buffer[..bytes].starts_with(b"HTTP/1.1 200 OK\r\n"));
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(connections.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_too_many_connections_is_closed_at_once() {
    let (mut first, _stop, connections) = serving().await;
    let address = first.peer_addr().unwrap();
    let mut second = Client::connect(address).unwrap();
    assert_eq!(read(&mut second, 9, Duration::ZERO), 0);
    first.write_all(b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read(&mut first, 1_000, Duration::ZERO) > 3);
    std::thread::sleep(Duration::from_millis(300));
    let mut third = Client::connect(address).unwrap();
    third.write_all(b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read(&mut third, 1_000, Duration::ZERO) > 3, "the place was given back");
    assert!(connections.get() <= 1);
}
