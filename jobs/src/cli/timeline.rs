//! placeholder
use super::Exit;
use super::args::{Common, TimelineArgs};
use super::console::Console;
pub fn timeline(_c: &Common, _a: &TimelineArgs, _console: &Console<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
