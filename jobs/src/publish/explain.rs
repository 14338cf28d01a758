//! What explains a snapshot to people: the published tables described, their dictionary and their views.

use super::dictionary::{dictionary, dictionary_md, dictionary_schema};
use super::snapshot::{Building, write_text};
use super::table_file::{PublishedFile, TableFile, TableLayout};
use super::views::{TableInfo, views_sql};
use tsumiage_schemas::Spec;
use tsumiage_schemas::tables::{
    changes_schema, files_schema, findings_schema, insurers_schema, khs_schema, memberships_schema,
    municipal_limits_schema, recipient_history_schema, recipient_month_schema, special_benefits_schema,
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
        TableInfo {
            name: "insurers",
            name_ja: "保険者",
            about: "One row per insurer, union or designated city and the days on which a record holds \
                    (保険者・広域連合・政令市の適用期間ごとに一行).",
            glob: "insurers/*.parquet",
            schema: insurers_schema(spec),
        },
        TableInfo {
            name: "memberships",
            name_ja: "構成市町村",
            about: "One row per municipality or ward and time in a union or designated city \
                    (広域連合・政令市に属する期間ごとに一行).",
            glob: "memberships/*.parquet",
            schema: memberships_schema(spec),
        },
        TableInfo {
            name: "municipal_limits",
            name_ja: "市町村固有",
            about: "One row per limit that a municipality has of its own and the days on which it holds \
                    (市町村固有の支給限度基準額の適用期間ごとに一行).",
            glob: "municipal_limits/*.parquet",
            schema: municipal_limits_schema(spec),
        },
        TableInfo {
            name: "special_benefits",
            name_ja: "市町村特別給付",
            about: "One row per special benefit of a municipality and the days on which it holds \
                    (市町村特別給付の適用期間ごとに一行).",
            glob: "special_benefits/*.parquet",
            schema: special_benefits_schema(spec),
        },
        TableInfo {
            name: "khs",
            name_ja: "被保険者証利用情報",
            about: "One row per person of whom the status of the insurance card on the My Number card is known, the newest \
                    (マイナンバーカードの被保険者証利用のステータスが分かる被保険者ごとに一行。最新のもの).",
            glob: "khs/*.parquet",
            schema: khs_schema(spec),
        },
        TableInfo {
            name: "changes",
            name_ja: "前回からの変更",
            about: "One row per item of a recipient's month that differs from the snapshot that was latest before \
                    (直前の最新スナップショットと異なる受給者月次の項目ごとに一行).",
            glob: "changes/*.parquet",
            schema: changes_schema(),
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
        file.finish()?,
        write_text(building, "data_dictionary.md", &dictionary_md(&tables, spec))?,
        write_text(building, "views.sql", &views_sql(&tables))?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_column_has_a_label_of_its_own() {
        for table in table_infos(&Spec::embedded().unwrap()) {
            let mut labels = BTreeSet::new();
            for field in table.schema.fields() {
                let label = field.metadata().get("label_ja");
                assert!(label.is_some_and(|label| labels.insert(label)), "{}.{}", table.name, field.name());
            }
        }
    }

    #[test]
    fn every_derived_column_has_a_note() {
        for table in table_infos(&Spec::embedded().unwrap()) {
            for field in table.schema.fields() {
                let about = |key: &str| field.metadata().get(key).map(String::as_str).unwrap_or_default();
                let here = format!("{}.{}", table.name, field.name());
                assert!(!about("item_no").is_empty() || !about("note").is_empty(), "{here} has no note");
                assert!(!about("note").contains(['|', '\n']), "{here} breaks the dictionary's table");
            }
        }
    }

    #[test]
    fn a_period_has_the_same_labels_in_every_table() {
        for table in table_infos(&Spec::embedded().unwrap()) {
            for (name, label) in [("valid_from", "適用期間の初日"), ("valid_to", "適用期間の最終日")]
            {
                let Ok(field) = table.schema.field_with_name(name) else { continue };
                assert_eq!(field.metadata()["label_ja"], label, "{}.{name}", table.name);
            }
        }
    }
}
