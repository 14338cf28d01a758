//! The program as processes of their own, to be killed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The built program. `tests/run.sh` builds it before it runs tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap(); // target/debug/deps/e2e-…
    let program = test.parent().and_then(Path::parent).unwrap().join("tsumiage");
    assert!(program.is_file(), "{} is missing: cargo build --workspace", program.display());
    program
}

/// A process of the program. Dropped, it is killed.
pub struct Process {
    child: Child,
    said: PathBuf,
    begun: Instant,
}

impl Process {
    /// Starts it; what it says goes to a file `said`.
    pub fn start(args: &[String], said: &Path) -> Process {
        Process::start_with(args, said, &[])
    }

    /// The same with environment variables.
    pub fn start_with(args: &[String], said: &Path, environment: &[(&str, &str)]) -> Process {
        let out = File::create(said).unwrap();
        let mut command = Command::new(program());
        command.args(args).stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let child = command.envs(environment.iter().copied()).spawn().unwrap();
        Process { child, said: said.to_owned(), begun: Instant::now() }
    }

    /// Time since its start.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said by now, on both.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap()).into_owned()
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.runs();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same of one that may have ended by itself; whether it was killed.
    pub fn kill_if_it_runs(&mut self) -> bool {
        let runs = self.child.try_wait().unwrap().is_none();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        runs
    }

    /// Fails if it ended by itself.
    pub fn runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("it ended by itself with {status}:\n{}", self.said());
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Its exit code, which it must come to in time.
    pub fn ends(&mut self, within: Duration) -> i32 {
        let status = self.status(within);
        status.code().unwrap_or_else(|| panic!("{status}"))
    }

    fn status(&mut self, within: Duration) -> ExitStatus {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end within {within:?}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it in order: exit code 0, in time.
    pub fn stop(&mut self) {
        self.signal("TERM");
        assert_eq!(self.ends(Duration::from_secs(30)), 0, "{}", self.said());
    }

    /// Status and body of what it serves at a path; it was started with `--metrics 127.0.0.1:0`. None if it does not
    /// serve (yet).
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let said = self.said();
        let address = said.split("serves http://").nth(1)?.split('/').next()?.to_owned();
        let mut stream = TcpStream::connect(address).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    /// A metric's value; of several lines the sum of those that begin with `name`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let lines = text.lines().filter(|line| line.starts_with(name));
        Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Waits until `/health` answers that all is well.
    pub fn wait_until_well(&self) {
        let well = |process: &Process| process.get("/health").is_some_and(|(status, _)| status == 200);
        self.wait_until("it is well", Duration::from_secs(60), well);
    }

    /// Waits until something holds.
    pub fn wait_until(&self, what: &str, within: Duration, holds: impl Fn(&Process) -> bool) {
        let until = Instant::now() + within;
        while !holds(self) {
            assert!(
                Instant::now() < until,
                "not within {within:?}: {what}\n{}\n{:?}\n{:?}",
                self.said(),
                self.get("/health"),
                self.get("/metrics"),
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it ended already
        let _ = self.child.wait();
    }
}
