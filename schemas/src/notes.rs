//! What the derived columns of the published tables mean, where a label does not say it: English, then Japanese.
//!
//! Promise: one note for every column that is not an item of a layout, and for the items whose meaning a table
//! narrows (contract, "The data folder").

use arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::Arc;

const RECIPIENTS: &[&str] = &["recipient_month", "recipient_history"];
const PERIODS: &[&str] = &["insurers", "municipal_limits", "special_benefits"];
const OF_A_RECORD: &[&str] =
    &["recipient_month", "recipient_history", "insurers", "municipal_limits", "special_benefits"];

/// Tables, column, note.
const NOTES: &[(&[&str], &str, &str)] = &[
    (&["recipient_month"], "service_month", "Its first day (月の初日)"),
    (
        RECIPIENTS,
        "holder_no",
        "Whose recipient it is: the union or designated city that has insurer_no as member on the movement date (for an end: the day before), else insurer_no (異動年月日に属する広域連合・政令市。属さなければ証記載保険者番号)",
    ),
    (
        &["recipient_month"],
        "holder_name",
        "On the month's last day; null = no 5411 record of the holder (月末日の名称。空 = 保険者異動情報なし)",
    ),
    (
        &["recipient_history"],
        "holder_name",
        "On the movement date; null = no 5411 record of the holder (異動年月日の名称。空 = 保険者異動情報なし)",
    ),
    (
        RECIPIENTS,
        "insurer_no",
        "The member's number, as on card and claim; holder_no tells the union (構成市町村・行政区の番号)",
    ),
    (RECIPIENTS, "union_no", "As sent; decides nothing, see holder_no (送付値。保有者は決めません)"),
    (OF_A_RECORD, "file_id", "The record's file, see files (そのレコードのファイル)"),
    (OF_A_RECORD, "record_no", "Its position in the file, control record = 1 (コントロールレコードが1)"),
    (
        RECIPIENTS,
        "last_correction_date",
        "Of the correction slip applied last; null = none (最後に適用した訂正。空 = 訂正なし)",
    ),
    (
        &["recipient_month"],
        "movements_in_month",
        "Live records dated in the month, under this holder (月内の異動年月日をもつ有効な異動情報の件数)",
    ),
    (
        &["recipient_month"],
        "ended_in_month",
        "The record in force is an end, so dated after the month's first day (その月の異動情報が終了)",
    ),
    (
        &["recipient_month"],
        "first_day_insurer_no",
        "insurer_no of the record in force on the month's first day; differs from insurer_no after a move inside the month; null = none or an end (月途中の異動では証記載保険者番号と異なります。空 = 月初日は資格なし)",
    ),
    (
        &["recipient_month"],
        "heaviest_care_level",
        "Heaviest of the records in force on the first day or dated in the month whose certification covers the month, ends excepted; sets the limit (認定有効期間が月にかかるもののうち最重度。支給限度額の基準)",
    ),
    (
        &["recipient_month"],
        "limit_units",
        "For heaviest_care_level: the holder's own limit (5511) in the month, else the table's (保有者の市町村固有の基準額、なければ標準の表の値)",
    ),
    (
        &["recipient_month"],
        "limit_source",
        "municipal = the holder's own (5511), table = the table; null = no limit (municipal = 市町村固有、table = 標準の表、空 = 基準額なし)",
    ),
    (
        &["recipient_month"],
        "certification_covers_month",
        "Of the record in force, any day of the month (その月の異動情報の認定有効期間が、月の一日でも含む)",
    ),
    (
        &["recipient_month"],
        "covering_movement_date",
        "Greatest movement date of the live records, of any date and type, whose certification covers the month; null = none (前後の異動情報も含みます。空 = なし)",
    ),
    (&["recipient_history"], "valid_from", "The movement date (異動年月日)"),
    (
        &["recipient_history"],
        "valid_to",
        "Day before the next live record, even where this one was cut off earlier (to_month tells); of the last one: an end's own date, or the last day before it was cut off; null = open (次の異動情報の前日。途中で有効でなくなった月はto_month。空 = 終了なし)",
    ),
    (
        &["recipient_history"],
        "from_month",
        "First month whose recipient_month row it is, published or not; null = never (空 = どの月にも使われない)",
    ),
    (
        &["recipient_history"],
        "to_month",
        "Last such month; null with from_month = open, null without = never (from_monthがあって空 = 継続中)",
    ),
    (
        &["recipient_history"],
        "processing_month",
        "Of the record's file (そのレコードのファイルの処理対象年月)",
    ),
    (&["recipient_history"], "corrections", "Correction slips applied to it (適用した訂正連絡票の件数)"),
    (PERIODS, "valid_from", "First day on which the record holds; null = not known (空 = 不明)"),
    (
        &["memberships"],
        "valid_from",
        "Earliest valid-from stated as long as lists name it without a break, or the day that is left after another union's (切れ目なく記載された異動情報のうち最も早い有効開始日)",
    ),
    (
        &["insurers", "memberships", "municipal_limits", "special_benefits"],
        "valid_to",
        "Last day, inclusive; null = open (その日を含みます。空 = 終了なし)",
    ),
    (
        &["memberships"],
        "union_no",
        "Union or designated city: whoever sent the list (5711) (一覧を提出した広域連合・政令市)",
    ),
    (&["memberships"], "member_no", "Member municipality or ward (構成市町村・行政区)"),
    (
        &["memberships"],
        "file_id",
        "File of the list (5711) that first stated valid_from; later lists that name the member are not told (有効開始日を最初に示した異動情報のファイル)",
    ),
    (
        &["memberships"],
        "record_no",
        "That list's position in its file, control record = 1 (コントロールレコードが1)",
    ),
    (
        &["khs"],
        "member_no",
        "As on the card: the member's or ward's number, insurer_no of recipient_month (被保険者証の番号。構成市町村・行政区)",
    ),
    (&["khs"], "insured_no", "Insured number (被保険者番号)"),
    (
        &["khs"],
        "status",
        "As sent; its meaning is not published, see the code table (送付値。意味は公表されていません)",
    ),
    (
        &["khs"],
        "end_date",
        "Day from which the My Number card is no longer used as the insurance card (空 = なし)",
    ),
    (&["khs"], "end_cancel_date", "Day on which that was taken back (空 = なし)"),
    (
        &["khs"],
        "known_on",
        "Take-in day of the answer or file that says so, the newest that names the person (日本の日付)",
    ),
    (&["files"], "file_id", "Of its bytes, hex; begins what findings --file takes (内容のハッシュ値)"),
    (&["files"], "name", "As first taken in, without folders (最初に受け付けたときの名前)"),
    (&["files"], "data_type", "Of the control record; null = not readable (空 = 読み取れない)"),
    (&["files"], "sender_no", "Of the control record; null = none valid (空 = 正しい番号なし)"),
    (&["files"], "processing_month", "Of the control record; null = none valid (空 = 正しい年月なし)"),
    (&["files"], "taken_in_on", "Day in Japan (日本の日付)"),
    (&["files"], "records", "= accepted + rejected (受付件数とエラー件数の和)"),
    (&["files"], "accepted", "By reading and stacking (検査・積み上げの後)"),
    (
        &["files"],
        "rejected",
        "By reading, or refused by stacking: S01, S02, S03, S12 (積み上げでの受付不可を含みます)",
    ),
    (
        &["files"],
        "warned",
        "Accepted records with a warning of reading or stacking (受付件数のうち警告のあるもの)",
    ),
    (
        &["files"],
        "status",
        "accepted, partly_rejected, rejected = nothing accepted, withdrawn = taken back, counts as it was taken in (受付、一部受付不可、受付不可、取下げ。取下げの件数は受付時のもの)",
    ),
    (&["findings"], "file_id", "See files (受付ファイルを参照)"),
    (&["findings"], "file_name", "Of that file (そのファイルの名前)"),
    (&["findings"], "sender_no", "Of that file's control record; null = none valid (空 = 正しい番号なし)"),
    (
        &["findings"],
        "record_no",
        "Position in the file, control record = 1; of several (count) the first; null = the whole file (コントロールレコードが1。空 = ファイル全体)",
    ),
    (&["findings"], "insurer_no", "Of the record, as far as it can be read (読み取れたもの)"),
    (&["findings"], "insured_no", "Of the record, as far as it can be read (読み取れたもの)"),
    (&["findings"], "movement_date", "Of the record, as far as it can be read (読み取れたもの)"),
    (
        &["findings"],
        "severity",
        "error = rejected, warning = accepted, to be looked at, info = good to know (エラー、警告、情報)",
    ),
    (
        &["findings"],
        "code",
        "F = file, R = record, S = stacking, new with every snapshot (F ファイル、R レコード、S 積み上げ)",
    ),
    (&["findings"], "item", "Column name of the item; null = the whole record (空 = レコード全体)"),
    (&["findings"], "count", "How often, in this file (そのファイルでの件数)"),
    (&["findings"], "message_ja", "What it is and what to do (内容と対応)"),
    (&["findings"], "message_en", "What it is and what to do (内容と対応、英語)"),
    (
        &["changes"],
        "service_month",
        "Its first day; only months that both snapshots publish (月の初日。前回にもある月のみ)",
    ),
    (&["changes"], "holder_no", "As in recipient_month (受給者月次と同じ)"),
    (&["changes"], "insured_no", "As in recipient_month (受給者月次と同じ)"),
    (
        &["changes"],
        "change",
        "added = effective now and not before, removed = the other way round, changed = an item differs (added 有効になった、removed 有効でなくなった、changed 項目の変更)",
    ),
    (
        &["changes"],
        "item",
        "Column of recipient_month; null unless changed (受給者月次の列名。changed以外は空)",
    ),
    (&["changes"], "before", "Its value in the snapshot before, as text; null = not set (空 = 設定なし)"),
    (&["changes"], "after", "Its value in this snapshot, as text; null = not set (空 = 設定なし)"),
    (
        &["changes"],
        "cause",
        "movement, correction, deletion = the record of cause_file_id; withdrawal = that record does not count any more; membership, insurer, limits = the registry; inheritance, layouts, program = for all; unknown (movement 異動、correction 修正、deletion 削除、withdrawal 取下げ、membership 構成市町村、insurer 保険者、limits 市町村固有、inheritance・layouts・program 設定・レイアウト・プログラム)",
    ),
    (
        &["changes"],
        "cause_file_id",
        "File of the record that did it; null = no record (空 = レコードではない)",
    ),
    (&["changes"], "cause_record_no", "Its position there, control record = 1 (コントロールレコードが1)"),
    (
        &["changes"],
        "cause_date",
        "Its movement date; of a correction slip the correction date (異動年月日。訂正連絡票は訂正年月日)",
    ),
];

/// The note on a column, if it has one.
pub fn note(table: &str, column: &str) -> Option<&'static str> {
    let of = |(tables, name, _): &&(&[&str], &str, &str)| tables.contains(&table) && *name == column;
    NOTES.iter().find(of).map(|(_, _, note)| *note)
}

/// The schema of a published table, its notes in the metadata of the fields.
pub(crate) fn described(table: &str, fields: impl IntoIterator<Item = Field>) -> SchemaRef {
    let field = |mut field: Field| {
        if let Some(note) = note(table, field.name()) {
            field.metadata_mut().insert("note".to_owned(), note.to_owned());
        }
        field
    };
    Arc::new(Schema::new(fields.into_iter().map(field).collect::<Vec<Field>>()))
}
