//! What explains a snapshot to people: the published tables described, their dictionary and their views.

use super::dictionary::{dictionary, dictionary_md, dictionary_schema};
use super::snapshot::{Building, write_text};
use super::table_file::{PublishedFile, TableFile, TableLayout};
use super::views::{TableInfo, views_sql};
use tsumiage_schemas::Spec;
use tsumiage_schemas::tables::{
    files_schema, findings_schema, recipient_history_schema, recipient_month_schema,
};

/// The published tables, described.
pub fn table_infos(spec: &Spec) -> Vec<TableInfo> {
    vec![
        TableInfo {
            name: "recipient_month",
            name_ja: "受給者月次",
            about: "One row per recipient effective in the service month (サービス提供月に有効な受給者ごとに一行).",
            glob: "recipient_month/*/*.parquet",
            schema: recipient_month_schema(spec),
        },
        TableInfo {
            name: "recipient_history",
            name_ja: "受給者履歴",
            about: "One row per live record of a recipient (受給者の有効な異動情報ごとに一行).",
            glob: "recipient_history/*.parquet",
            schema: recipient_history_schema(spec),
        },
        TableInfo {
            name: "files",
            name_ja: "受付ファイル",
            about: "One row per distinct file (受け付けたファイルごとに一行).",
            glob: "files/*.parquet",
            schema: files_schema(),
        },
        TableInfo {
            name: "findings",
            name_ja: "指摘事項",
            about: "One row per finding (エラー・警告・情報ごとに一行).",
            glob: "findings/*.parquet",
            schema: findings_schema(),
        },
    ]
}

/// Writes `data_dictionary.parquet`, `data_dictionary.md` and `views.sql`.
///
/// # Errors
/// A file cannot be written.
pub fn explanations(building: &Building, spec: &Spec) -> anyhow::Result<Vec<PublishedFile>> {
    let tables = table_infos(spec);
    let layout = TableLayout { sorted_by: &[], bloom: false };
    let schema = dictionary_schema();
    let mut file = TableFile::create(&building.path, "data_dictionary.parquet", &schema, &layout)?;
    file.write_digested(&dictionary(&tables)?)?;
    Ok(vec![
        file.finish()?.0,
        write_text(building, "data_dictionary.md", &dictionary_md(&tables, spec))?,
        write_text(building, "views.sql", &views_sql(&tables))?,
    ])
}
