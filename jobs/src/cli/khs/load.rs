//! `khs load`: files of KHS records into archive, log and ledger.

use super::super::args::Common;
use super::super::console::Console;
use super::super::data_folder::today_in_japan;
use super::super::{Exit, Usage};
use super::taken_in;
use crate::khs::staging::{Came, form_of};
use std::fs::File;
use std::path::PathBuf;
use tsumiage_pipeline::disk::io;
use tsumiage_pipeline::reader::khs::Asked;

/// Takes the files in, in the order given.
pub fn load(common: &Common, files: &[PathBuf], console: &Console<'_>) -> anyhow::Result<Exit> {
    if let Some(gone) = files.iter().find(|file| !file.is_file()) {
        return Err(Usage(format!("there is no file {}; check the path", gone.display())).into());
    }
    let on = common.on.unwrap_or_else(today_in_japan);
    let came = |path: &PathBuf| {
        let bytes = File::open(path).map_err(io(path))?;
        Ok(Came { form: form_of(&bytes).map_err(io(path))?, bytes, asked: Asked::default() })
    };
    let came = files.iter().map(came).collect::<anyhow::Result<Vec<Came>>>()?;
    taken_in("khs load", common, on, &came, console)
}
