//! `synth`: realistic exchange files.

use super::args::{Common, MonthsArg, SynthArgs};
use super::console::Console;
use super::{Exit, Usage};
use std::time::Instant;
use tsumiage_pipeline::synth::{SynthOptions, synth as make};
use tsumiage_schemas::Spec;

/// Writes the files.
pub fn synth(common: &Common, args: &SynthArgs, console: &Console<'_>) -> anyhow::Result<Exit> {
    let months = match common.months {
        None => 36,
        Some(MonthsArg::Number(months)) => months,
        Some(MonthsArg::Range(_)) => {
            return Err(Usage("synth wants --months as a number, e.g. 36".to_owned()).into());
        }
    };
    let options = SynthOptions {
        recipients: args.recipients,
        months,
        insurers: args.insurers,
        seed: args.seed,
        movements: args.movements,
        corrections: !args.clean,
        errors_every: args.errors_every,
        full_share: args.full_share,
        union: args.union,
        ..SynthOptions::default()
    };
    let begun = Instant::now();
    let report = make(&options, &Spec::embedded()?, &args.out)?;
    let seconds = begun.elapsed().as_secs_f64();
    console.print(&format!(
        "{} files, {} records, {:.1} MB in {seconds:.2} s ({:.0} MB/s)\n",
        report.files,
        report.records,
        report.bytes as f64 / 1e6,
        report.bytes as f64 / 1e6 / seconds,
    ))?;
    Ok(Exit::Done)
}
