//! `views.sql`: views with Japanese names over the files of a snapshot, for DuckDB, and the look-ups that
//! claim review does.

use arrow::datatypes::SchemaRef;
use std::fmt::Write;

/// A published table for people: its name, Japanese name, the files it is read from, its schema.
pub struct TableInfo {
    /// Name.
    pub name: &'static str,
    /// Japanese name.
    pub name_ja: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// Files, below the snapshot.
    pub glob: &'static str,
    /// Columns.
    pub schema: SchemaRef,
}

fn label(field: &arrow::datatypes::Field) -> &str {
    field.metadata().get("label_ja").map_or(field.name().as_str(), String::as_str)
}

/// The text of `views.sql`. Paths are relative: it is run inside the snapshot folder.
pub fn views_sql(tables: &[TableInfo]) -> String {
    let mut sql = String::from(
        "-- Views over this snapshot. Run inside its folder, e.g.: duckdb -init views.sql\n\
         -- このスナップショットのフォルダの中で実行してください（例: duckdb -init views.sql）。\n\n",
    );
    for table in tables {
        let _ = writeln!(sql, "-- {}: {}", table.name, table.about);
        let _ = writeln!(
            sql,
            "CREATE OR REPLACE VIEW {} AS\n  SELECT * FROM read_parquet('{}', hive_partitioning = false);\n",
            table.name, table.glob
        );
        let columns: Vec<String> = table
            .schema
            .fields()
            .iter()
            .map(|field| format!("  {} AS \"{}\"", field.name(), label(field).replace('"', "\"\"")))
            .collect();
        let _ = writeln!(
            sql,
            "CREATE OR REPLACE VIEW \"{}\" AS\nSELECT\n{}\nFROM {};\n",
            table.name_ja,
            columns.join(",\n"),
            table.name
        );
    }
    sql.push_str(LOOK_UP);
    sql
}

const LOOK_UP: &str = "\
-- What a claim asks (請求の照会): insurer number, insured number and service month, as on the claim.\n\
-- SELECT * FROM claim_lookup('141003', '0000000010', DATE '2026-07-01');\n\
CREATE OR REPLACE MACRO claim_lookup(claim_insurer_no, claim_insured_no, claim_month) AS TABLE\n\
  SELECT *\n\
  FROM recipient_month\n\
  WHERE insured_no = claim_insured_no\n\
    AND service_month = date_trunc('month', claim_month)\n\
    AND claim_insurer_no IN (insurer_no, first_day_insurer_no);\n\n\
CREATE OR REPLACE MACRO \"請求照会\"(claim_insurer_no, claim_insured_no, claim_month) AS TABLE\n\
  SELECT * FROM \"受給者月次\"\n\
  WHERE \"被保険者番号\" = claim_insured_no\n\
    AND \"サービス提供月\" = date_trunc('month', claim_month)\n\
    AND claim_insurer_no IN (\"証記載保険者番号\", \"月初日の証記載保険者番号\");\n\n\
-- Whose people an insurer's people are on a day (保有者の照会): its union's or city's, else its own.\n\
-- SELECT holder_on('142018', DATE '2026-07-01');\n\
CREATE OR REPLACE MACRO holder_on(asked_insurer_no, asked_day) AS coalesce(\n\
  (SELECT union_no FROM memberships\n\
   WHERE member_no = asked_insurer_no AND asked_day >= valid_from\n\
     AND (valid_to IS NULL OR asked_day <= valid_to)),\n\
  asked_insurer_no);\n\n\
CREATE OR REPLACE MACRO \"保有者照会\"(asked_insurer_no, asked_day) AS holder_on(asked_insurer_no, asked_day);\n\n\
-- Recipients with the newest status of their insurance card (受給者月次と被保険者証利用情報), by the numbers on the card.\n\
-- khs_holder_no: whose people those of the number on the card were when the status was taken in. Where it is not holder_no, the\n\
-- insured number may have been another person's then (保有者が異なるときは、別人の被保険者番号であることがあります).\n\
CREATE OR REPLACE VIEW khs_with_holder AS\n\
  SELECT k.*, coalesce(m.union_no, k.member_no) AS holder_no\n\
  FROM khs k\n\
  LEFT JOIN memberships m ON m.member_no = k.member_no AND k.known_on >= m.valid_from\n\
    AND (m.valid_to IS NULL OR k.known_on <= m.valid_to);\n\n\
CREATE OR REPLACE VIEW recipient_month_khs AS\n\
  SELECT m.*, k.status AS khs_status, k.end_date AS khs_end_date,\n\
    k.end_cancel_date AS khs_end_cancel_date, k.known_on AS khs_known_on,\n\
    k.holder_no AS khs_holder_no\n\
  FROM recipient_month m\n\
  LEFT JOIN khs_with_holder k ON k.member_no = m.insurer_no AND k.insured_no = m.insured_no;\n\n\
CREATE OR REPLACE VIEW \"受給者月次・被保険者証利用情報\" AS\n\
  SELECT m.*, k.status AS \"介護被保険者証ステータス\", k.end_date AS \"介護被保険者証利用停止日\",\n\
    k.end_cancel_date AS \"介護被保険者証利用停止解除日\", k.known_on AS \"被保険者証利用情報取得日\",\n\
    k.holder_no AS \"被保険者証利用情報の保有者番号\"\n\
  FROM \"受給者月次\" m\n\
  LEFT JOIN khs_with_holder k ON k.member_no = m.\"証記載保険者番号\" AND k.insured_no = m.\"被保険者番号\";\n";
