//! Realistic exchange files at any scale (`tsumiage synth`): an invented prefecture whose insurers
//! send their recipients' movements (5311) and correction slips (5321) month by month, each for itself or
//! all as members of one union.
//!
//! Promise: the bytes depend on the options and layouts only, never on threads, clock or machine; memory
//! does not grow with the number of people. Names and numbers are invented. With corrections off every
//! record is accepted by the rules of domain 1 to 3: no correction, no duplicate, nothing late, at most
//! one movement per person and date, every change after its registration.

mod calendar;
mod delivery;
mod insurer;
mod life;
mod names;
mod plan;
mod quota;
mod rng;
mod row;
mod sender;
mod sheet;
#[cfg(test)]
mod tests;
mod union;

use crate::reader::MOST_ITEMS;
use crate::writer::WriteError;
use calendar::Calendar;
use insurer::{Insurer, insurers};
use quota::{Quota, Totals};
use rayon::prelude::*;
use row::columns;
use sender::Sender;
use std::io;
use std::path::{Path, PathBuf};
use tsumiage_schemas::{Layout, Month, Spec};
use union::Union;

/// What to make.
#[derive(Clone, Debug)]
pub struct SynthOptions {
    /// Different people over the whole time. About 70 % of them are there at any one time of 36 months:
    /// 15 % a year end, as many begin.
    pub recipients: u64,
    /// Months in which movements happen.
    pub months: u32,
    /// Insurers; never more than recipients.
    pub insurers: u32,
    /// Same seed, same bytes.
    pub seed: u64,
    /// First month of movements; its processing month is the next one.
    pub first_month: Month,
    /// Exact number of 5311 records in all; `None`: what the lives give, about 10 per recipient in 36 months.
    pub movements: Option<u64>,
    /// 1 % corrections, some late files and movements, a few duplicates and changes after an end.
    pub corrections: bool,
    /// Every so many records of a file one has a movement date that is none (R03).
    pub errors_every: Option<u64>,
    /// Share of the insurers that send full records, 0 to 1; the others send what changed.
    pub full_share: f64,
    /// The insurers are the members of one union from the start (domain 4, case 1): it registers itself and
    /// them in one more file, sends for them, and people move between them (case 8). Insured numbers are
    /// then unique over all insurers, else over each.
    pub union: bool,
}

impl Default for SynthOptions {
    fn default() -> SynthOptions {
        SynthOptions {
            recipients: 100_000,
            months: 36,
            insurers: 40,
            seed: 1,
            first_month: Month(2023 * 12 + 10),
            movements: None,
            corrections: true,
            errors_every: None,
            full_share: 0.5,
            union: false,
        }
    }
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynthReport {
    /// Files.
    pub files: u64,
    /// Data records of all kinds.
    pub records: u64,
    /// Movements (5311) among them.
    pub movements: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl SynthReport {
    fn plus(self, other: SynthReport) -> SynthReport {
        SynthReport {
            files: self.files + other.files,
            records: self.records + other.records,
            movements: self.movements + other.movements,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Why nothing, or not everything, was made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The disk said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder must be new or empty, so that nothing of another data set is mixed in.
    #[error("{}: the folder is not empty; choose a new one", .0.display())]
    NotEmpty(PathBuf),
    /// Options that cannot be met.
    #[error("{0}")]
    Options(String),
    /// The layouts have no room for what a union registers.
    #[error("what the union registers: {0}")]
    Registration(#[from] WriteError),
}

columns! {
    /// Columns of layout 5321 that are used.
    SlipColumns {
        record_type record_no exchange_id movement_date correction_date correction_type insurer_no insured_no
        birth_date care_plan_type care_plan_provider_no
    }
}

/// What all insurers share.
struct World {
    calendar: Calendar,
    names: names::Names,
    movement: Layout,
    correction: Layout,
    columns: life::Columns,
    slip: SlipColumns,
    /// Units of each care level.
    limits: [u64; 7],
    union: Option<Union>,
    faults: bool,
    errors_every: Option<u64>,
}

impl World {
    fn new(options: &SynthOptions, spec: &Spec, insurers: &[Insurer]) -> World {
        let month = options.first_month;
        let limits = life::limits(spec, month);
        World {
            calendar: Calendar::new(month, options.months),
            names: names::Names::new(),
            movement: spec.movement().clone(),
            correction: spec.correction().clone(),
            columns: life::Columns::of(spec.movement(), month),
            slip: SlipColumns::of(spec.correction(), month),
            limits: if options.union { union::raised(limits) } else { limits },
            union: options.union.then(|| Union::of(insurers)),
            faults: options.corrections,
            errors_every: options.errors_every,
        }
    }
}

/// Makes the files `<insurer>-<processing month>-<exchange id>.csv` in the folder `out`, which is created if
/// missing; in a union also what it registers, `<union>-<first processing month>-5411.csv`. Insurers are
/// written side by side on rayon's threads.
///
/// # Errors
/// Options that cannot be met, a folder that is not empty, the disk. A failed run leaves what it wrote.
pub fn synth(options: &SynthOptions, spec: &Spec, out: &Path) -> Result<SynthReport, SynthError> {
    check(options)?;
    prepare(out)?;
    let insurers = insurers(options);
    let world = World::new(options, spec, &insurers);
    let quotas = quotas(&world, &insurers, options)?;
    let registered = world.union.as_ref().map(|union| union.register(&world, spec, out)).transpose()?;
    let sent = insurers
        .par_iter()
        .zip(quotas)
        .with_max_len(1)
        .map(|(insurer, quota)| Sender { world: &world, insurer, quota }.write(out))
        .try_reduce(SynthReport::default, |a, b| Ok(a.plus(b)))?;
    Ok(sent.plus(registered.unwrap_or_default()))
}

fn check(options: &SynthOptions) -> Result<(), SynthError> {
    let wrong = |what: &str| Err(SynthError::Options(what.to_owned()));
    match options {
        o if o.recipients == 0 || o.insurers == 0 => wrong("at least one recipient and one insurer"),
        o if o.recipients > 1_000_000_000 => wrong("at most 1,000,000,000 recipients"),
        o if o.insurers > 30_000 => wrong("at most 30,000 insurers"),
        // Its list is one record, and the reader takes records of at most so many items.
        o if o.union && 7 + 2 * o.insurers as usize > MOST_ITEMS => wrong("at most 508 members of a union"),
        o if !(1..=600).contains(&o.months) => wrong("1 to 600 months"),
        o if !(2000 * 12 + 3..=2100 * 12).contains(&o.first_month.0) => {
            wrong("the first month must be from 2000-04 to 2100-01")
        }
        _ => Ok(()),
    }
}

fn prepare(out: &Path) -> Result<(), SynthError> {
    let failed = |source| SynthError::Io { path: out.to_owned(), source };
    std::fs::create_dir_all(out).map_err(failed)?;
    match std::fs::read_dir(out).map_err(failed)?.next() {
        None => Ok(()),
        Some(_) => Err(SynthError::NotEmpty(out.to_owned())),
    }
}

/// The quota each insurer begins with.
fn quotas(world: &World, insurers: &[Insurer], options: &SynthOptions) -> Result<Vec<Quota>, SynthError> {
    let Some(wanted) = options.movements else { return Ok(vec![Quota::NATURAL; insurers.len()]) };
    let each: Vec<Totals> = insurers.par_iter().with_max_len(1).map(|i| Sender::totals(world, i)).collect();
    let all = each.iter().fold(Totals::default(), |sum, totals| sum.plus(*totals));
    let Some(mut quota) = Quota::of(wanted, all) else {
        return Err(SynthError::Options(format!(
            "{wanted} movements of {} recipients: there must be at least one each, and at most {}",
            all.people,
            all.records + all.room
        )));
    };
    let mut quotas = Vec::with_capacity(each.len());
    for totals in each {
        quotas.push(quota);
        quota = quota.after(totals);
    }
    Ok(quotas)
}
