//! Records for tests that make their exchange files themselves.

use tsumiage_pipeline::writer::{OutRecord, RecordBuilder};
use tsumiage_schemas::{Layout, RecordKind, Spec};

/// Item names and texts.
pub type Items<'a> = &'a [(&'a str, &'a str)];

/// A record of these items; later texts of an item replace earlier ones.
pub fn record(layout: &Layout, items: &[Items<'_>]) -> OutRecord {
    builder(layout, items).build()
}

/// A union's list of 2026-04-01: members and the day each is valid from.
pub fn list(spec: &Spec, union_no: &str, members: Items<'_>) -> OutRecord {
    let items = [("movement_date", "20260401"), ("movement_type", "1"), ("insurer_no", union_no)];
    let list = builder(spec.layout(RecordKind::UnionMembershipMovement), &[&items]);
    members.iter().fold(list, |list, (no, from)| list.member(*no, *from).unwrap()).build()
}

fn builder<'l>(layout: &'l Layout, items: &[Items<'_>]) -> RecordBuilder<'l> {
    let items = items.iter().copied().flatten();
    items.fold(RecordBuilder::new(layout), |record, (item, text)| record.set(item, *text).unwrap())
}
