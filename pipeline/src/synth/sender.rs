//! One insurer's files: its people are counted, then written, month by month side by side.

use super::delivery::{Correction, deliver};
use super::insurer::Insurer;
use super::life::Life;
use super::plan::Plan;
use super::quota::{Quota, Totals};
use super::row::{Row, Style};
use super::sheet::{Control, Sheet};
use super::union::Union;
use super::{SynthError, SynthReport, World};
use std::path::Path;

/// One insurer at work.
pub(super) struct Sender<'w> {
    pub(super) world: &'w World,
    pub(super) insurer: &'w Insurer,
    pub(super) quota: Quota,
}

/// Records per processing month.
struct Counts {
    movements: Vec<u64>,
    corrections: Vec<u64>,
}

impl Sender<'_> {
    /// What the natural lives of the insurer's people add up to.
    pub(super) fn totals(world: &World, insurer: &Insurer) -> Totals {
        let mut totals = Totals::default();
        let sender = Sender { world, insurer, quota: Quota::NATURAL };
        // Nothing fails: the closure does no I/O.
        let _: Result<(), SynthError> = sender.each_person(|plan| {
            totals.add(plan);
            Ok(())
        });
        totals
    }

    fn each_person(&self, mut visit: impl FnMut(&Plan) -> Result<(), SynthError>) -> Result<(), SynthError> {
        let mut plan = Plan::new(&self.world.calendar);
        let mut quota = self.quota;
        for person in 0..self.insurer.recipients {
            plan.draw(&self.world.calendar, self.insurer, person, self.world.faults);
            let records = quota.next(&plan);
            plan.fit(records);
            visit(&plan)?;
        }
        Ok(())
    }

    fn count(&self) -> Result<Counts, SynthError> {
        let world = self.world;
        let months = world.calendar.months as usize;
        let mut counts = Counts { movements: vec![0; months], corrections: vec![0; months] };
        self.each_person(|plan| {
            let mut again = None;
            for (day, event) in plan.days() {
                let sent = deliver(&world.calendar, self.insurer, plan.person, day, event, world.faults);
                counts.movements[sent.month as usize] += 1;
                if let Some(correction) = &sent.correction {
                    counts.corrections[correction.month as usize] += 1;
                }
                again = Some(sent.again);
            }
            if let Some(month) = again.filter(|_| plan.duplicate) {
                counts.movements[month as usize] += 1;
            }
            Ok(())
        })?;
        Ok(counts)
    }

    fn sheets(&self, out: &Path, exchange_id: &str, counts: &[u64]) -> Vec<Sheet> {
        let sheet = |(month, &records): (usize, &u64)| {
            let processing_month = self.world.calendar.processing_month(month as u32).digits();
            let name = format!("{}-{processing_month}-{exchange_id}.csv", self.insurer.name());
            let control = Control {
                // A union sends in its members' names (domain 4, case 1).
                insurer_no: self.world.union.as_ref().map_or(self.insurer.name(), Union::name),
                data_type: &exchange_id[..3],
                processing_month: &processing_month,
                quote_all: self.insurer.quote_all,
                errors_every: self.world.errors_every,
            };
            Sheet::new(out.join(name), records, &control)
        };
        counts.iter().enumerate().map(sheet).collect()
    }

    /// Writes all files of the insurer.
    pub(super) fn write(&self, out: &Path) -> Result<SynthReport, SynthError> {
        let (world, insurer) = (self.world, self.insurer);
        let counts = self.count()?;
        let mut movements = self.sheets(out, "5311", &counts.movements);
        let mut corrections = self.sheets(out, "5321", &counts.corrections);
        let style = Style { full: insurer.full, quote_all: insurer.quote_all };
        let mut life = Life::new(world, insurer, &world.movement);
        let mut slip = Row::new(&world.correction);
        self.each_person(|plan| {
            life.meet(plan.person);
            let mut days = plan.days().peekable();
            while let Some((day, event)) = days.next() {
                life.apply(day, event);
                let sent = deliver(&world.calendar, insurer, plan.person, day, event, world.faults);
                let twice = plan.duplicate && days.peek().is_none();
                for month in [Some(sent.month), twice.then_some(sent.again)].into_iter().flatten() {
                    movements[month as usize].push(|n, out| {
                        life.row.number_key(world.columns.record_no, n);
                        life.row.write(style, out);
                    })?;
                }
                life.row.settle();
                if let Some(correction) = sent.correction {
                    self.slip(&mut life, &mut slip, plan.person, day, &correction);
                    corrections[correction.month as usize].push(|n, out| {
                        slip.number_key(world.slip.record_no, n);
                        slip.write(style, out);
                    })?;
                    life.row.settle();
                }
            }
            Ok(())
        })?;
        self.finish(movements, corrections)
    }

    /// Fills in a correction slip for the movement just sent.
    fn slip(&self, life: &mut Life, slip: &mut Row, person: u64, day: u32, correction: &Correction) {
        let (c, calendar) = (&self.world.slip, &self.world.calendar);
        slip.clear();
        slip.key(c.record_type, b"2");
        slip.key(c.exchange_id, b"5321");
        slip.key(c.movement_date, calendar.text(day as i32));
        slip.key(c.correction_date, calendar.text(correction.day));
        slip.key(c.correction_type, if correction.delete { b"3" } else { b"2" });
        slip.key(c.insurer_no, &life.insurer_no);
        slip.key(c.insured_no, &self.insurer.insured_no(person));
        if !correction.delete {
            life.correct(slip);
        }
    }

    fn finish(&self, movements: Vec<Sheet>, corrections: Vec<Sheet>) -> Result<SynthReport, SynthError> {
        let mut report = SynthReport::default();
        for (is_movement, sheet) in
            movements.into_iter().map(|s| (true, s)).chain(corrections.into_iter().map(|s| (false, s)))
        {
            let records = sheet.records();
            let Some(bytes) = sheet.finish()? else { continue };
            report.files += 1;
            report.records += records;
            report.movements += if is_movement { records } else { 0 };
            report.bytes += bytes;
        }
        Ok(report)
    }
}
