//! A server that answers what a test tells it to, one connection after another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// Header lines, names in lower case.
    pub headers: Vec<String>,
    /// Body.
    pub body: String,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

/// What a connection gets: bytes, after which it is closed. `{url}` stands for the server's address.
pub type Answer = Vec<u8>;

/// A server at work.
pub struct Scripted {
    /// Its address, `http://127.0.0.1:port`.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Serves these answers, each to one connection, then no more.
    pub fn new(answers: Vec<Answer>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, own) = (Arc::clone(&requests), url.clone());
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                kept.lock().unwrap().push(answered(stream, &answer, &own));
            }
        });
        Scripted { url, requests, thread: Some(thread) }
    }

    /// All requests, once every answer was given.
    pub fn requests(mut self) -> Vec<Request> {
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

fn answered(mut stream: TcpStream, answer: &[u8], url: &str) -> Request {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let line = lines.remove(0);
    let headers = lines.iter().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        format!("{}: {value}", name.to_ascii_lowercase())
    });
    let mut request = Request { line, headers: headers.collect(), body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    let text = String::from_utf8_lossy(answer).replace("{url}", url);
    let _ = stream.write_all(text.as_bytes()); // who was told enough may be gone
    request
}

/// An answer with a status, more header lines and a body, whole.
pub fn answer(status: u16, headers: &[&str], body: &str) -> Answer {
    broken(status, headers, body, body.replace("{url}", "http://127.0.0.1:00000").len())
}

/// The same that promises so many bytes.
pub fn broken(status: u16, headers: &[&str], body: &str, length: usize) -> Answer {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
        .into()
}
