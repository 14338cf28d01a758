//! Arrow schemas of the facts (what was accepted) and of the published tables (contract, "The data
//! folder").
//!
//! Promise: column names are item names; the Japanese label, item number and code table of every item stand in its
//! field metadata (and nothing else: it is in every file again), a note where a label is not enough; dates and months are `Date32`, integers `Int32`, counts and
//! record numbers `Int64`, everything else plain `Utf8`.

use crate::checks::IDENTITY;
use crate::layout::{Item, Kind, Layout};
use crate::notes::described;
use crate::record::{FactTable, RecordKind};
use crate::spec::Spec;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::HashMap;
use std::sync::Arc;

pub use crate::checks::MASK_BYTES;

/// The items of a fact table whose values are kept one a record: all but the envelope columns, the key
/// and repeating items, in the order of the layout that gives the table its items.
pub fn fact_items(spec: &Spec, table: FactTable) -> Vec<&Item> {
    let kept = |item: &&Item| !IDENTITY.contains(&item.name.as_str()) && !item.repeats();
    fact_layout(spec, table).items.iter().filter(kept).collect()
}

/// The layout that gives a fact table its items.
pub fn fact_layout(spec: &Spec, table: FactTable) -> &Layout {
    table.kind().map_or(&spec.khs.layout, |kind| spec.layout(kind))
}

/// The items of recipient movements whose values are stacked, as [`fact_items`]. The first is
/// `movement_reason`, the only one that is never inherited.
pub fn stacked_items(spec: &Spec) -> Vec<&Item> {
    fact_items(spec, FactTable::Recipient)
}

/// The Arrow type of an item.
pub fn item_type(kind: Kind) -> DataType {
    match kind {
        Kind::Date | Kind::Month => DataType::Date32,
        Kind::Integer => DataType::Int32,
        Kind::Code | Kind::Identifier | Kind::Kana | Kind::Text | Kind::Decimal => DataType::Utf8,
    }
}

/// The field of a layout item, described by its metadata.
pub fn item_field(item: &Item) -> Field {
    let mut about = HashMap::from([
        ("label_ja".to_owned(), item.name_ja.clone()),
        ("item_no".to_owned(), item.position.to_string()),
    ]);
    if let Some(codes) = &item.codes {
        about.insert("codes".to_owned(), codes.clone());
    }
    Field::new(&item.name, item_type(item.kind), true).with_metadata(about)
}

/// A column that is not a layout item: name, Japanese label, type.
pub fn own_field(name: &str, label_ja: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
        .with_metadata(HashMap::from([("label_ja".to_owned(), label_ja.to_owned())]))
}

/// Columns of [`fact_schema`] before the stacked items.
pub const FACT_KEY_COLUMNS: usize = 14;

/// Columns of [`fact_schema`] before the stacked items, whatever the layouts.
pub fn fact_keys(table: FactTable) -> Vec<Field> {
    let required = |name: &str, t: DataType| Field::new(name, t, false);
    let fields = vec![
        required("insurer_no", DataType::Utf8),
        Field::new("insured_no", DataType::Utf8, table != FactTable::Recipient),
        required("movement_date", DataType::Date32),
        required("is_correction", DataType::Boolean),
        required("change_type", DataType::Utf8),
        Field::new("correction_date", DataType::Date32, true),
        required("file_seq", DataType::Int32),
        required("processing_month", DataType::Date32),
        required("record_no", DataType::Int64),
        required("byte_offset", DataType::Int64),
        required("warned", DataType::Boolean),
        Field::new("extra_items", DataType::Binary, true),
        required("given", DataType::FixedSizeBinary(MASK_BYTES)),
        required("cleared", DataType::FixedSizeBinary(MASK_BYTES)),
    ];
    assert_eq!(fields.len(), FACT_KEY_COLUMNS, "the constant above counts these fields");
    fields
}

/// One accepted record, as the log and the ledger keep it. All three states of an item survive: value =
/// bit in `given` and a value; clear mark = bit in `cleared`; blank = neither.
///
/// `is_correction` tells 5321 from 5311; `change_type` is the movement type of the one, the correction
/// type of the other. `file_seq` is the file's number in the ledger (0 in the log). `extra_items` is
/// the unknown tail of a longer row, the bytes as they came. Only recipients have an `insured_no`.
/// Memberships have two lists of equal lengths besides, `member_insurer_no` and `member_valid_from_date`.
pub fn fact_schema(spec: &Spec, table: FactTable) -> SchemaRef {
    let mut fields = fact_keys(table);
    fields.extend(fact_items(spec, table).into_iter().map(item_field));
    let list = |item: &Item| {
        let each = Field::new("item", item_type(item.kind), false);
        item_field(item).with_data_type(DataType::List(Arc::new(each))).with_nullable(false)
    };
    fields.extend(fact_layout(spec, table).repeating().iter().map(list));
    Arc::new(Schema::new(fields))
}

/// Fields of a layout's items from `movement_date` on, without `insured_no`, as in the published tables.
fn published_items(layout: &Layout) -> impl Iterator<Item = Field> {
    let from = layout.column("movement_date").unwrap_or(0);
    layout.items[from..].iter().filter(|item| item.name != "insured_no").map(item_field)
}

/// The field of an item under another name; a plain column if the layout has no such item.
fn item_as(layout: &Layout, item: &str, name: &str) -> Field {
    match layout.items.iter().find(|known| known.name == item) {
        Some(item) => item_field(item).with_name(name),
        None => own_field(name, name, DataType::Utf8),
    }
}

fn insured_no(spec: &Spec) -> Field {
    item_as(spec.movement(), "insured_no", "insured_no")
}

/// `recipient_month`: one row per recipient effective in the service month.
pub fn recipient_month_schema(spec: &Spec) -> SchemaRef {
    use DataType::{Boolean, Date32, Int32, Int64, Utf8};
    let mut fields = vec![
        own_field("service_month", "サービス提供月", Date32),
        own_field("holder_no", "保有者番号（広域連合・政令市または保険者）", Utf8),
        own_field("holder_name", "保有者名", Utf8),
        insured_no(spec),
    ];
    fields.extend(published_items(spec.movement()));
    fields.extend([
        own_field("file_id", "ファイルID", Utf8),
        own_field("record_no", "レコード番号", Int64),
        own_field("last_correction_date", "最終訂正年月日", Date32),
        own_field("movements_in_month", "月内異動件数", Int32),
        own_field("ended_in_month", "月内終了", Boolean),
        own_field("first_day_insurer_no", "月初日の証記載保険者番号", Utf8),
        own_field("heaviest_care_level", "月内最重度要介護状態区分", Utf8),
        own_field("limit_units", "支給限度基準額（単位）", Int32),
        own_field("limit_source", "支給限度基準額の根拠", Utf8),
        own_field("certification_covers_month", "認定有効期間がサービス提供月を含む", Boolean),
        own_field("covering_movement_date", "認定有効期間がサービス提供月を含む最終の異動年月日", Date32),
    ]);
    described("recipient_month", fields)
}

/// `recipient_history`: one row per live record of a stream.
pub fn recipient_history_schema(spec: &Spec) -> SchemaRef {
    use DataType::{Date32, Int32, Int64, Utf8};
    let mut fields = vec![
        own_field("holder_no", "保有者番号（広域連合・政令市または保険者）", Utf8),
        own_field("holder_name", "保有者名", Utf8),
        insured_no(spec),
    ];
    fields.extend(published_items(spec.movement()));
    fields.extend([
        own_field("valid_from", "適用期間の初日", Date32),
        own_field("valid_to", "適用期間の最終日", Date32),
        own_field("from_month", "最初のサービス提供月", Date32),
        own_field("to_month", "最後のサービス提供月", Date32),
        own_field("file_id", "ファイルID", Utf8),
        own_field("record_no", "レコード番号", Int64),
        own_field("processing_month", "処理対象年月", Date32),
        own_field("last_correction_date", "最終訂正年月日", Date32),
        own_field("corrections", "訂正回数", Int32),
    ]);
    described("recipient_history", fields)
}

/// What a row of the registry's tables ends with: its first and last day (null = open) and its record.
fn period_and_record() -> [Field; 4] {
    [
        own_field("valid_from", "適用期間の初日", DataType::Date32),
        own_field("valid_to", "適用期間の最終日", DataType::Date32),
        own_field("file_id", "ファイルID", DataType::Utf8),
        own_field("record_no", "レコード番号", DataType::Int64),
    ]
}

/// `insurers`: one row per insurer and period (5411).
pub fn insurers_schema(spec: &Spec) -> SchemaRef {
    let layout = spec.layout(RecordKind::InsurerMovement);
    let items = ["insurer_no", "insurer_name", "insurer_type"].map(|name| item_as(layout, name, name));
    described("insurers", items.into_iter().chain(period_and_record()))
}

/// `memberships`: one row per member and time in a union or city (5711).
pub fn memberships_schema(spec: &Spec) -> SchemaRef {
    let layout = spec.layout(RecordKind::UnionMembershipMovement);
    let items = [("insurer_no", "union_no"), ("member_insurer_no", "member_no")];
    let items = items.map(|(item, name)| item_as(layout, item, name));
    described("memberships", items.into_iter().chain(period_and_record()))
}

/// `municipal_limits`: one row per insurer, care level, service type and period (5511).
pub fn municipal_limits_schema(spec: &Spec) -> SchemaRef {
    let items = published_items(spec.layout(RecordKind::MunicipalLimitMovement));
    described("municipal_limits", items.chain(period_and_record()))
}

/// `special_benefits`: one row per insurer, service and period (5611).
pub fn special_benefits_schema(spec: &Spec) -> SchemaRef {
    let items = published_items(spec.layout(RecordKind::SpecialBenefitMovement));
    described("special_benefits", items.chain(period_and_record()))
}

/// `khs`: one row per person of whom a status is known (domain 6).
pub fn khs_schema(spec: &Spec) -> SchemaRef {
    let layout = &spec.khs.layout;
    let items = [
        ("insurer_no", "member_no"),
        ("insured_no", "insured_no"),
        ("status", "status"),
        ("end_date", "end_date"),
        ("end_cancel_date", "end_cancel_date"),
    ];
    let items = items.map(|(item, name)| item_as(layout, item, name));
    described("khs", items.into_iter().chain([own_field("known_on", "取得日", DataType::Date32)]))
}

/// `files`: one row per distinct file.
pub fn files_schema() -> SchemaRef {
    use DataType::{Date32, Int64, Utf8};
    described(
        "files",
        [
            own_field("file_id", "ファイルID（SHA-256）", Utf8),
            own_field("name", "ファイル名", Utf8),
            own_field("data_type", "データ種別", Utf8),
            own_field("sender_no", "送付元番号", Utf8),
            own_field("processing_month", "処理対象年月", Date32),
            own_field("taken_in_on", "取込日", Date32),
            own_field("records", "レコード件数", Int64),
            own_field("accepted", "受付件数", Int64),
            own_field("rejected", "エラー件数", Int64),
            own_field("warned", "警告件数", Int64),
            own_field("status", "状態", Utf8),
        ],
    )
}

/// `findings`: one row per finding.
pub fn findings_schema() -> SchemaRef {
    use DataType::{Date32, Int64, Utf8};
    described(
        "findings",
        [
            own_field("file_id", "ファイルID", Utf8),
            own_field("file_name", "ファイル名", Utf8),
            own_field("sender_no", "送付元番号", Utf8),
            own_field("record_no", "レコード番号", Int64),
            own_field("insurer_no", "証記載保険者番号", Utf8),
            own_field("insured_no", "被保険者番号", Utf8),
            own_field("movement_date", "異動年月日", Date32),
            own_field("severity", "重要度", Utf8),
            own_field("code", "コード", Utf8),
            own_field("item", "項目", Utf8),
            own_field("count", "件数", Int64),
            own_field("message_ja", "メッセージ", Utf8),
            own_field("message_en", "メッセージ（英語）", Utf8),
        ],
    )
}

/// `changes`: one row per item of a recipient's month that differs from the snapshot before, or per row that came
/// or went.
pub fn changes_schema() -> SchemaRef {
    use DataType::{Date32, Int64, Utf8};
    described(
        "changes",
        [
            own_field("service_month", "サービス提供月", Date32),
            own_field("holder_no", "保有者番号（広域連合・政令市または保険者）", Utf8),
            own_field("insured_no", "被保険者番号", Utf8),
            own_field("change", "変更の種類", Utf8),
            own_field("item", "項目", Utf8),
            own_field("before", "変更前", Utf8),
            own_field("after", "変更後", Utf8),
            own_field("cause", "変更の原因", Utf8),
            own_field("cause_file_id", "原因のファイルID", Utf8),
            own_field("cause_record_no", "原因のレコード番号", Int64),
            own_field("cause_date", "原因の年月日", Date32),
        ],
    )
}
