//! placeholder
use super::Exit;
use super::args::Common;
use super::console::Console;
pub fn status(_c: &Common, _console: &Console<'_>) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
