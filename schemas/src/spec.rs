//! Everything the data files say, parsed and checked against each other, as one value.

use crate::codes::{CareLevelLimit, CodeTable, parse_limits};
use crate::csv_table::DataError;
use crate::finding::Catalogue;
use crate::khs::Khs;
use crate::layout::Layout;
use crate::record::RecordKind;
use crate::rules::Rules;
use crate::sources::{SourceText, Sources};
use std::collections::BTreeMap;

/// Layouts, code tables, findings catalogue and rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Control record.
    pub control: Layout,
    /// End record.
    pub end: Layout,
    /// Data records that are read, by exchange id.
    pub layouts: BTreeMap<String, Layout>,
    /// Exchange id of every kind of record, in the order of [`RecordKind::ALL`].
    ids: [String; 6],
    /// Code tables by name.
    pub codes: BTreeMap<String, CodeTable>,
    /// What care levels are worth.
    pub limits: Vec<CareLevelLimit>,
    /// Severities and messages.
    pub catalogue: Catalogue,
    /// Rules that warn.
    pub rules: Rules,
    /// Messages of the KHS API.
    pub khs: Khs,
    /// The data files it was made of.
    pub sources: Sources,
}

impl Spec {
    /// The data files embedded in the binary.
    ///
    /// # Errors
    /// None in a binary that passes its tests; the type is that of files a user replaces.
    pub fn embedded() -> Result<Spec, DataError> {
        Spec::parse(Sources::embedded())
    }

    /// Parses data files and checks them against each other.
    ///
    /// # Errors
    /// A file missing or malformed, an item whose code table is not there, an item the program relies on
    /// missing, two records with one exchange id.
    pub fn parse(sources: Sources) -> Result<Spec, DataError> {
        let mut by_name = BTreeMap::new();
        for (name, file) in sources.layouts()? {
            by_name.insert(name, Layout::parse(file.id, &file.source)?);
        }
        let mut take = |name: &str| {
            by_name
                .remove(name)
                .ok_or_else(|| DataError::new(&format!("layouts/…-{name}.csv"), 0, "file is missing"))
        };
        let (control, end) = (take("control")?, take("end")?);
        let mut layouts: BTreeMap<String, Layout> = BTreeMap::new();
        let mut ids: [String; 6] = Default::default();
        for kind in RecordKind::ALL {
            let layout = take(kind.name())?;
            ids[kind as usize].clone_from(&layout.id);
            if let Some(other) = layouts.insert(layout.id.clone(), layout) {
                return Err(DataError::new(
                    &other.file,
                    0,
                    format!("another record has the exchange id {} too", other.id),
                ));
            }
        }
        let mut codes = BTreeMap::new();
        for (path, source) in sources.below("codes/") {
            let name = path.trim_start_matches("codes/").trim_end_matches(".csv");
            if name != "care_level_limits" {
                codes.insert(name.to_owned(), CodeTable::parse(name, &source)?);
            }
        }
        let limits = parse_limits(&sources.whole("codes/care_level_limits.csv")?)?;
        let all = |path| sources.each(path).collect::<Vec<SourceText<'_>>>();
        let catalogue = Catalogue::parse(&all("findings.csv"), &all("details.csv"))?;
        let rules = Rules::parse(&sources)?;
        let khs = Khs::parse(&sources)?;
        let spec = Spec { control, end, layouts, ids, codes, limits, catalogue, rules, khs, sources };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), DataError> {
        for kind in RecordKind::ALL {
            crate::checks::check_layout(kind, self.layout(kind))?;
        }
        crate::checks::check_correction(self.correction(), self.movement())?;
        crate::checks::check_control(&self.control)?;
        for layout in self.layouts.values().chain([&self.control, &self.end, &self.khs.layout]) {
            for item in &layout.items {
                if let Some(table) = item.codes.as_ref().filter(|t| !self.codes.contains_key(*t)) {
                    let mut error = DataError::new(
                        &layout.file,
                        0,
                        format!("item {}: there is no code table {table}", item.name),
                    );
                    error.line = item.position as u64 + 1;
                    error.column = Some((8, "codes".to_owned()));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Digest of the data files: equal digests mean equal layouts, codes, rules and messages.
    pub fn digest(&self) -> String {
        self.sources.digest()
    }

    /// The Japanese label of an item, or its name where no layout has it.
    pub fn label<'a>(&'a self, item: &'a str) -> &'a str {
        let envelope = [&self.control, &self.end];
        self.layouts
            .values()
            .chain(envelope)
            .find_map(|layout| layout.items.iter().find(|i| i.name == item))
            .map(|i| i.name_ja.as_str())
            .or_else(|| self.khs.label(item))
            .unwrap_or(item)
    }

    /// The Japanese label of a KHS status, if its code table has it: by default the table is empty, since the meaning is
    /// not published.
    pub fn khs_status_label(&self, status: &str) -> Option<&str> {
        let field = self.khs.person.field(crate::khs::name::STATUS)?;
        self.codes.get(field.codes.as_ref()?)?.labels.get(status).map(String::as_str)
    }

    /// The layout of a kind of record.
    pub fn layout(&self, kind: RecordKind) -> &Layout {
        &self.layouts[&self.ids[kind as usize]] // `parse` put one there for each
    }

    /// The layout of recipient movements.
    pub fn movement(&self) -> &Layout {
        self.layout(RecordKind::RecipientMovement)
    }

    /// The layout of recipient corrections.
    pub fn correction(&self) -> &Layout {
        self.layout(RecordKind::RecipientCorrection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{Layer, Profile};
    use crate::{Code, Severity};

    fn with(files: &[(&str, &str)]) -> Result<Spec, DataError> {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        let layer =
            Layer { name: "mine".to_owned(), files: files.iter().map(own).collect(), ..Layer::default() };
        Spec::parse(Sources::embedded().with(layer))
    }

    fn embedded(path: &str) -> &'static str {
        crate::data::FILES.iter().find(|(own, _)| *own == path).unwrap().1
    }

    const MOVEMENT: &str = "layouts/5311-recipient-movement.csv";

    #[test]
    fn the_embedded_data_is_whole() {
        let spec = Spec::embedded().unwrap();
        assert_eq!(spec.movement().revisions(), [47, 61, 62, 67, 70, 77, 79]);
        assert_eq!(spec.correction().revisions(), [48, 62, 63, 68, 71, 78, 80]);
        assert_eq!(spec.movement().columns_for_keys(), 8);
        assert_eq!(spec.label("care_level"), "要介護状態区分コード");
        let ids: Vec<&String> = spec.layouts.keys().collect();
        assert_eq!(ids, ["5311", "5321", "5411", "5511", "5611", "5711"]);
        assert_eq!(spec.layout(RecordKind::UnionMembershipMovement).repeating().len(), 2);
    }

    #[test]
    fn a_broken_file_is_named_with_line_and_column() {
        let text = embedded(MOVEMENT).replace("sex,性別コード,code,1", "sex,性別コード,kode,1");
        let error = with(&[(MOVEMENT, &text)]).unwrap_err();
        assert_eq!((error.file.as_str(), error.line), (&*format!("mine/{MOVEMENT}"), 12));
        assert!(error.to_string().contains("line 12, column 4 (kind): \"kode\" is not one of"), "{error}");
        let text = embedded(MOVEMENT).replace(",sex,B", ",sexes,B");
        let error = with(&[(MOVEMENT, &text)]).unwrap_err().to_string();
        assert!(
            error.contains("line 12, column 8 (codes): item sex: there is no code table sexes"),
            "{error}"
        );
        let text = embedded(MOVEMENT).replace(",care_level,", ",level_of_care,");
        assert!(with(&[(MOVEMENT, &text)]).unwrap_err().to_string().contains("care_level"));
        for (from, to, says) in [
            (
                ",care_level,要介護状態区分コード,code,",
                ",care_level,要介護状態区分コード,integer,",
                "must be of kind code or",
            ),
            (
                ",movement_type,異動区分コード,code,",
                ",movement_type,異動区分コード,integer,",
                "must be of kind code",
            ),
            (",sex,", ",given,", "the name of another column"),
            (",sex,性別", ",sex_2,性別", "no such item to correct"),
        ] {
            assert!(embedded(MOVEMENT).contains(from), "{from}");
            let text = embedded(MOVEMENT).replacen(from, to, 1);
            let error = with(&[(MOVEMENT, &text)]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let control = "layouts/envelope-control.csv";
        let text = embedded(control).replace("processing_month", "month_of_processing");
        assert!(with(&[(control, &text)]).unwrap_err().to_string().contains("processing_month is missing"));
        let two =
            [(MOVEMENT, embedded(MOVEMENT)), ("layouts/5399-recipient-movement.csv", embedded(MOVEMENT))];
        assert!(with(&two).unwrap_err().to_string().contains("leave one"));
        assert!(
            with(&[("layouts/5321-recipient-movement.csv", embedded(MOVEMENT))]).is_err(),
            "id used twice"
        );
    }

    #[test]
    fn an_exchange_id_is_replaced_by_the_name_of_the_file() {
        let path = "layouts/5421-insurer-movement.csv";
        let spec = with(&[(path, embedded("layouts/5411-insurer-movement.csv"))]).unwrap();
        assert_eq!(spec.layout(RecordKind::InsurerMovement).id, "5421");
        assert!(!spec.layouts.contains_key("5411"));
        assert_ne!(spec.digest(), Spec::embedded().unwrap().digest());
    }

    #[test]
    fn equal_texts_have_equal_digests_and_profiles_differ() {
        let own = Spec::embedded().unwrap();
        assert_eq!(with(&[(MOVEMENT, embedded(MOVEMENT))]).unwrap().digest(), own.digest());
        let lenient = Spec::parse(Sources::embedded().with_profile(Profile::Lenient)).unwrap();
        assert_eq!(lenient.catalogue.severity(Code::F03), Severity::Warning);
        assert!(lenient.rules.line_end_texts.contains(&"\r\n".to_owned()));
        assert_eq!(lenient.catalogue.entry(Code::F04).message_ja, own.catalogue.entry(Code::F04).message_ja);
        assert_ne!(lenient.digest(), own.digest());
        assert_eq!(
            Spec::parse(Sources::embedded().with_profile(Profile::Strict)).unwrap().digest(),
            own.digest()
        );
    }
}
