//! The union (広域連合) whose members the insurers can be: its number, what it registers before anyone moves
//! (domain 4, case 1), and who moves between its members (case 8).
//!
//! Promise: people's lives do not depend on it. Their records differ from those of insurers that stand alone
//! in insurer number, insured number, union number, reason and raised limits only.

use super::insurer::{Insurer, union_number};
use super::life::LEVELS;
use super::rng::Rng;
use super::{SynthError, SynthReport, World};
use crate::writer::{FileHeader, OutRecord, Quoting, RecordBuilder, WriteError, write_file};
use std::path::Path;
use tsumiage_schemas::{Month, RecordKind, Spec};

/// Of 1,000 changes so many are a move to another member.
const MOVES: u32 = 10;
/// Places in [`LEVELS`] of the care levels whose limit the union has raised.
const RAISED: std::ops::Range<usize> = 4..7;
/// The insurance begins; nothing is registered before.
const BEGINNING: Month = Month(2000 * 12 + 3);

/// The union and its members.
pub(super) struct Union {
    /// Six digits.
    pub(super) number: [u8; 6],
    /// All insurers, ascending.
    members: Vec<[u8; 6]>,
}

impl Union {
    /// The union of all insurers.
    pub(super) fn of(insurers: &[Insurer]) -> Union {
        Union { number: union_number(), members: insurers.iter().map(|i| i.number).collect() }
    }

    /// The number as text.
    pub(super) fn name(&self) -> &str {
        text(&self.number)
    }

    /// The member to which a person of member `from` moves on a change: mostly none.
    pub(super) fn moves_to(&self, rng: &mut Rng, from: &[u8; 6]) -> Option<[u8; 6]> {
        let home = self.members.binary_search(from).ok()?;
        let others = self.members.len() - 1;
        if others == 0 || !rng.per_mille(MOVES) {
            return None;
        }
        let other = rng.below(others as u32) as usize;
        Some(self.members[other + usize::from(other >= home)])
    }

    /// Writes what the union sends before all others, in the first processing month.
    pub(super) fn register(&self, world: &World, spec: &Spec, out: &Path) -> Result<SynthReport, SynthError> {
        let first_id = &spec.layout(RecordKind::InsurerMovement).id;
        let data_type: String = first_id.chars().take(3).collect();
        let month = world.calendar.processing_month(0);
        let records = self.records(world, spec)?;
        let header = FileHeader::new(&data_type, self.name(), month);
        let bytes = write_file(&header, Quoting::Needed, &records)?;
        let path = out.join(format!("{}-{}-{first_id}.csv", self.name(), month.digits()));
        std::fs::write(&path, &bytes).map_err(|source| SynthError::Io { path, source })?;
        Ok(SynthReport { files: 1, records: records.len() as u64, movements: 0, bytes: bytes.len() as u64 })
    }

    /// Name, some limits, a benefit and the members, all from one day on.
    fn records(&self, world: &World, spec: &Spec) -> Result<Vec<OutRecord>, WriteError> {
        let since = since(world.calendar.first).first_day().digits();
        let begin = |kind: RecordKind| {
            RecordBuilder::new(spec.layout(kind))
                .set("movement_date", &since)?
                .set("movement_type", "1")?
                .set("movement_reason", "01")?
                .set("insurer_no", self.name())
        };
        let name = begin(RecordKind::InsurerMovement)?
            .set("insurer_name", "みなと広域連合")?
            .set("insurer_type", "3")?
            .set("valid_from_date", &since)?;
        let mut records = vec![name.build()];
        for level in RAISED.filter(|&level| world.limits[level] > 0) {
            let limit = begin(RecordKind::MunicipalLimitMovement)?
                .set("care_level", LEVELS[level].0)?
                .set("category_limit_units", world.limits[level].to_string())?
                .set("valid_from_date", &since)?;
            records.push(limit.build());
        }
        let benefit = begin(RecordKind::SpecialBenefitMovement)?
            .set("service_code", "810001")?
            .set("service_name", "紙おむつ支給")?
            .set("service_points", "500")?
            .set("valid_from_date", &since)?;
        records.push(benefit.build());
        let list = begin(RecordKind::UnionMembershipMovement)?;
        let list = self.members.iter().try_fold(list, |list, no| list.member(text(no), &since))?;
        records.push(list.build());
        Ok(records)
    }
}

/// The units of each care level in the union.
pub(super) fn raised(mut limits: [u64; 7]) -> [u64; 7] {
    for units in &mut limits[RAISED] {
        *units += *units / 10;
    }
    limits
}

/// The last fiscal year's first month before the first movements.
fn since(first: Month) -> Month {
    let before = first.0 - 1;
    Month(before - (before - BEGINNING.0).rem_euclid(12)).max(BEGINNING)
}

fn text(number: &[u8; 6]) -> &str {
    std::str::from_utf8(number).unwrap_or("000000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_union_is_there_before_anyone_moves() {
        let since = |first: &str| since(first.parse().unwrap()).to_string();
        assert_eq!(
            ["2023-10", "2024-04", "2024-05", "2024-01", "2000-04", "2000-05"].map(since),
            ["2023-04", "2023-04", "2024-04", "2023-04", "2000-04", "2000-04"]
        );
    }

    #[test]
    fn one_moves_to_another_member_and_alone_to_nobody() {
        let members = [*b"000001", *b"000002", *b"000003"];
        let of = |members: &[[u8; 6]]| Union { number: union_number(), members: members.to_vec() };
        let mut rng = Rng::keyed(&[]);
        for home in members {
            let mut to: Vec<_> = (0..20_000).filter_map(|_| of(&members).moves_to(&mut rng, &home)).collect();
            assert!((100..300).contains(&to.len()), "{}", to.len());
            to.sort();
            to.dedup();
            assert_eq!(to, members.iter().copied().filter(|no| *no != home).collect::<Vec<_>>());
        }
        assert!((0..20_000).all(|_| of(&members[..1]).moves_to(&mut rng, &members[0]).is_none()));
    }
}
