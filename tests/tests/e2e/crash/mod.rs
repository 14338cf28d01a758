//! Crashes: a run that is killed at any point, or finds the disk full or read-only there, loses nothing and publishes
//! nothing half; the same command again comes to what an undisturbed run comes to, byte for byte.
//!
//! * `life` a small life of a data folder, and what is compared
//! * `points` the fail points and the source
//! * `matrix` every fail point of the life
//! * `random` kill -9 at random moments
//! * `disk` a disk that is really full or read-only
//! * `lock` what a killed run held
//! * `durable` what is synced before what

mod disk;
mod durable;
mod life;
mod lock;
mod matrix;
mod points;
mod random;

use crate::kafka_broker::process::program;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// How a run of the program as a process of its own ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none if it was killed.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Of a command line; `fail` is what `TSUMIAGE_FAIL` says.
    pub fn of(args: &[String], fail: Option<&str>) -> Ended {
        let mut command = Command::new(program());
        command.args(args).stdin(Stdio::null()).env_remove("TSUMIAGE_FAIL");
        let output = command.envs(fail.map(|fail| ("TSUMIAGE_FAIL", fail))).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let killed = output.status.signal();
        assert!(killed.is_none_or(|signal| signal == 9), "{args:?}, {fail:?}: {output:?}");
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}
