//! The registry: insurers, who belongs to which union or designated city, and what municipalities have of
//! their own (domain 4; 5411, 5711, 5511, 5611), as known as of a processing month.
//!
//! * `read` facts from the ledger by stream, `stacked` their live records
//! * `periods` the days on which a record holds, `names` names and registrations, `limits` own limits (pure)
//! * `members` the lists of members and their findings
//!
//! Promise: everything here is a function of the facts known; memberships and ended times are settled
//! before any recipient is stacked.

pub mod limits;
mod members;
pub mod names;
pub mod periods;
mod read;
mod stacked;

pub use limits::MunicipalLimits;
pub use names::Names;
pub use stacked::Stacked;

use crate::facts::KnownFiles;
use crate::stack::StackRules;
use crate::stack::details::Details;
use arrow::array::RecordBatch;
use datafusion::execution::SessionState;
use limits::MunicipalLimit;
use names::Registered;
use std::collections::BTreeSet;
use std::sync::Arc;
use tsumiage_pipeline::ledger::Ledger;
use tsumiage_schemas::holder::Holders;
use tsumiage_schemas::membership::{Interval, Memberships};
use tsumiage_schemas::{Day, FactTable, Finding, Month, Spec};

/// A table's stacked rows and the findings about them, each with the row it points at.
pub type TableFindings<'a> = (&'a RecordBatch, Vec<(usize, Finding)>);

/// All of it.
#[derive(Clone, Debug)]
pub struct Registry {
    insurers: Stacked,
    municipal_limits: Stacked,
    special_benefits: Stacked,
    lists: Stacked,
    /// Row in `lists` of every list that `memberships` names.
    list_rows: Vec<usize>,
    memberships: Memberships,
    holders: Arc<Holders>,
    rules: StackRules,
    names: Names,
    limits: MunicipalLimits,
    known_insurers: BTreeSet<String>,
    /// S09 and S15 with their row in `lists`.
    list_findings: Vec<(usize, Finding)>,
}

impl Registry {
    /// Reads and stacks the registry as of a processing month.
    ///
    /// # Errors
    /// A run of the ledger cannot be read.
    pub async fn read(
        engine: &SessionState,
        ledger: &Ledger,
        spec: &Spec,
        known: &KnownFiles<'_>,
        rules: &StackRules,
        as_of: Option<Month>,
    ) -> anyhow::Result<Registry> {
        let facts = |table: FactTable| read::read(engine, ledger, spec, known, as_of, table);
        let (insurers, municipal_limits, special_benefits, lists) = (
            facts(FactTable::Insurer).await?,
            facts(FactTable::MunicipalLimit).await?,
            facts(FactTable::SpecialBenefit).await?,
            facts(FactTable::Membership).await?,
        );
        let insurers = Stacked::new(FactTable::Insurer, &insurers, rules)?;
        let municipal_limits = Stacked::new(FactTable::MunicipalLimit, &municipal_limits, rules)?;
        let special_benefits = Stacked::new(FactTable::SpecialBenefit, &special_benefits, rules)?;
        let stacked_lists = Stacked::new(FactTable::Membership, &lists, rules)?;
        let (of_lists, list_rows) = members::lists(&stacked_lists, &lists);
        let (memberships, overlaps) = Memberships::of_lists(&of_lists)?;
        let registered = registered(&insurers);
        let ledger_insurers = ledger.runs();
        let holders = Holders::new(&memberships, &registered.ended, ledger_insurers.keys().copied());
        let found = members::findings(&of_lists, &memberships, &overlaps, &registered, spec);
        let at_row = |(list, finding): (usize, Finding)| {
            let record_no = Some(stacked_lists.position(list_rows[list]).1);
            (list_rows[list], Finding { record_no, ..finding })
        };
        Ok(Registry {
            list_findings: found.into_iter().map(at_row).collect(),
            names: names(&insurers),
            limits: limits_of(&municipal_limits),
            known_insurers: insurers_with_a_record(&insurers),
            holders: Arc::new(holders),
            rules: rules.clone(),
            insurers,
            municipal_limits,
            special_benefits,
            lists: stacked_lists,
            list_rows,
            memberships,
        })
    }

    /// Who holds whom and when insurers are ended.
    pub fn holders(&self) -> &Arc<Holders> {
        &self.holders
    }

    /// Who belongs to which union or city.
    pub fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// Whether there is any live insurer record of this number (S08).
    pub fn has_insurer(&self, no: &str) -> bool {
        self.known_insurers.contains(no)
    }

    /// The name of an insurer on a day, if known.
    pub fn name_on(&self, holder_no: &str, day: Day) -> Option<&str> {
        self.names.on(holder_no, day)
    }

    /// The names of all insurers.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The municipalities' own limits.
    pub fn limits(&self) -> &MunicipalLimits {
        &self.limits
    }

    /// What messages of stacking findings tell of holders and senders.
    pub fn details(&self) -> Details<'_> {
        Details { rules: &self.rules, holders: &self.holders }
    }

    /// The stacked tables with their periods.
    pub fn tables(&self) -> [&Stacked; 4] {
        [&self.insurers, &self.municipal_limits, &self.special_benefits, &self.lists]
    }

    /// S09 and S15, with the row of their list among the stacked memberships.
    pub fn list_findings(&self) -> &[(usize, Finding)] {
        &self.list_findings
    }

    /// File number and position of the list that made an interval.
    pub fn list_of(&self, interval: &Interval) -> (i32, i64) {
        self.lists.position(self.list_rows[interval.list])
    }
}

fn names(insurers: &Stacked) -> Names {
    let row = |period: &periods::Period| {
        let row = period.row as usize;
        let name = insurers.text("insurer_name", row).map(str::to_owned);
        (insurers.insurer_no(row).to_owned(), period.from, name)
    };
    Names::new(insurers.periods.iter().map(row))
}

fn limits_of(municipal: &Stacked) -> MunicipalLimits {
    let limit = |period: &periods::Period| {
        let row = period.row as usize;
        let limit = MunicipalLimit {
            care_level: municipal.text("care_level", row).map(str::to_owned),
            of_service: municipal.is_set("service_type", row),
            from: period.from,
            to: period.to,
            units: municipal.number("category_limit_units", row)?,
            applied: municipal.applied(row),
        };
        Some((municipal.insurer_no(row).to_owned(), limit))
    };
    MunicipalLimits::new(municipal.periods.iter().filter_map(limit))
}

fn registered(insurers: &Stacked) -> Registered {
    let mut registered = Registered::default();
    for stream in insurers.streams() {
        let insurer_no = insurers.insurer_no(stream[0].row as usize); // a stream has a record
        let since = stream.iter().filter(|record| !record.is_end()).map(periods::Record::start).min();
        registered.since.extend(since.map(|since| (insurer_no.to_owned(), since)));
        registered.ended.insert(insurer_no.to_owned(), periods::ended_times(&stream));
    }
    registered
}

fn insurers_with_a_record(insurers: &Stacked) -> BTreeSet<String> {
    insurers.streams().map(|stream| insurers.insurer_no(stream[0].row as usize).to_owned()).collect()
}
