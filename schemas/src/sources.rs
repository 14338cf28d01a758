//! The data files in force: what is embedded, a profile over it, a user's folder over both.
//!
//! Promise: pure texts. A layout replaces the one of the same record name whatever its exchange id, so
//! that an id is replaced by naming the file anew; findings and details are merged line by line; any
//! other file replaces the one of its path.

use crate::csv_table::DataError;
pub use crate::csv_table::SourceText;
use crate::data::FILES;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Files of which every layer counts, later lines over earlier ones.
const MERGED: [&str; 2] = ["findings.csv", "details.csv"];

/// How strictly files are read (domain 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// As the domain says.
    #[default]
    Strict,
    /// Accepts what real senders are known to get wrong.
    Lenient,
}

/// Data files given together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// What stands before the paths in messages: a folder, or nothing for embedded files.
    pub name: String,
    /// Path (`layouts/…`, `codes/…`, `rules/…`, `khs/…`, `findings.csv`, `details.csv`) to text.
    pub files: BTreeMap<String, String>,
    /// What messages call a file, where that is not the layer's name and the path.
    pub called: BTreeMap<String, String>,
}

/// All layers, the first one whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    layers: Vec<Layer>,
}

/// A layout file in force.
pub(crate) struct LayoutFile<'s> {
    /// Exchange id, or `envelope`.
    pub id: &'s str,
    /// Record name, such as `recipient-movement` or `control`.
    pub name: &'s str,
    pub source: SourceText<'s>,
}

impl Sources {
    /// The embedded files.
    pub fn embedded() -> Sources {
        let own = FILES.iter().filter(|(path, _)| !path.starts_with("profiles/"));
        let files = own.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Sources { layers: vec![Layer { name: String::new(), files, ..Layer::default() }] }
    }

    /// These with a profile over them.
    pub fn with_profile(self, profile: Profile) -> Sources {
        let folder = match profile {
            Profile::Strict => return self,
            Profile::Lenient => "profiles/lenient/",
        };
        let own = FILES.iter().filter_map(|(path, text)| Some((path.strip_prefix(folder)?, *text)));
        let files = own.map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        self.with(Layer { name: folder.trim_end_matches('/').to_owned(), files, ..Layer::default() })
    }

    /// These with a layer over them.
    pub fn with(mut self, layer: Layer) -> Sources {
        self.layers.push(layer);
        self
    }

    /// The file of a path that counts; a layer's file is no use where it must be whole.
    ///
    /// # Errors
    /// No layer has it.
    pub(crate) fn whole(&self, path: &str) -> Result<SourceText<'_>, DataError> {
        self.each(path).last().ok_or_else(|| DataError::new(path, 0, "file is missing"))
    }

    /// The files of a path, from the first layer on.
    pub(crate) fn each<'s, 'p>(
        &'s self,
        path: &'p str,
    ) -> impl Iterator<Item = SourceText<'s>> + use<'s, 'p> {
        self.layers.iter().filter_map(move |layer| layer.file(path))
    }

    /// The layouts that count, by record name.
    ///
    /// # Errors
    /// A name without an exchange id, or one layer has two layouts of one record name.
    pub(crate) fn layouts(&self) -> Result<BTreeMap<&str, LayoutFile<'_>>, DataError> {
        let mut layouts = BTreeMap::new();
        for layer in &self.layers {
            let mut of_layer: BTreeMap<&str, LayoutFile<'_>> = BTreeMap::new();
            for (path, text) in layer.below("layouts/") {
                let source = SourceText { file: layer.shown(path), text };
                let stem = path.trim_start_matches("layouts/").trim_end_matches(".csv");
                let Some((id, name)) = stem.split_once('-').filter(|(id, _)| !id.is_empty()) else {
                    let what =
                        "a layout's name is <exchange id>-<record>.csv, like 5311-recipient-movement.csv";
                    return Err(DataError::new(&source.file, 0, what));
                };
                if let Some(other) = of_layer.insert(name, LayoutFile { id, name, source }) {
                    let what = format!("there is another layout of {name}; leave one");
                    return Err(DataError::new(&other.source.file, 0, what));
                }
            }
            layouts.extend(of_layer);
        }
        Ok(layouts)
    }

    /// The paths of other files below a folder, with the text that counts.
    pub(crate) fn below(&self, folder: &str) -> BTreeMap<&str, SourceText<'_>> {
        let mut files = BTreeMap::new();
        for layer in &self.layers {
            for (path, text) in layer.below(folder) {
                files.insert(path, SourceText { file: layer.shown(path), text });
            }
        }
        files
    }

    /// Digest of what counts: equal digests mean equal layouts, codes, rules and messages.
    pub fn digest(&self) -> String {
        let mut texts: BTreeMap<String, &str> = BTreeMap::new();
        for (at, layer) in self.layers.iter().enumerate() {
            for (path, text) in &layer.files {
                let merged = MERGED.contains(&path.as_str());
                let key = if merged { format!("{path}#{at}") } else { self.key(path) };
                texts.insert(key, text);
            }
        }
        // A layout that was replaced under another exchange id does not count.
        if let Ok(layouts) = self.layouts() {
            let ids: Vec<String> = layouts.values().map(|l| format!("{}={}", l.name, l.id)).collect();
            let ids = ids.join(",");
            return digest_of(texts.into_iter().chain([("ids".to_owned(), ids.as_str())]));
        }
        digest_of(texts.into_iter())
    }

    /// What a file replaces.
    fn key(&self, path: &str) -> String {
        match path.strip_prefix("layouts/").and_then(|file| file.split_once('-')) {
            Some((_, name)) => format!("layouts/{name}"),
            None => path.to_owned(),
        }
    }

    /// The text of the file that counts for an exchange id, record name, code table, rule, KHS message or `findings`.
    /// Of merged files that of the first layer.
    pub fn text(&self, name: &str) -> Option<String> {
        let layouts = self.layouts().ok()?;
        if let Some(file) = layouts.values().find(|file| file.name == name || file.id == name) {
            return Some(file.source.text.to_owned());
        }
        let paths = ["codes", "rules", "khs"].map(|folder| format!("{folder}/{name}.csv"));
        if let Some(source) = paths.iter().find_map(|path| self.whole(path).ok()) {
            return Some(source.text.to_owned());
        }
        let merged = format!("{name}.csv");
        self.each(&merged).next().filter(|_| MERGED.contains(&merged.as_str())).map(|s| s.text.to_owned())
    }

    /// Every file that counts: (path, name of its layer), for people.
    pub fn in_force(&self) -> Vec<(String, String)> {
        let mut files: BTreeMap<String, (String, String)> = BTreeMap::new();
        for layer in &self.layers {
            for path in layer.files.keys() {
                let layer_name = match files.get(path) {
                    Some((_, below)) if MERGED.contains(&path.as_str()) => {
                        format!("{below} + {}", layer.name)
                    }
                    _ => layer.name.clone(),
                };
                files.insert(self.key(path), (path.clone(), layer_name));
            }
        }
        files.into_values().collect()
    }
}

fn digest_of<'t>(texts: impl Iterator<Item = (String, &'t str)>) -> String {
    let mut hash = Sha256::new();
    for (path, text) in texts {
        hash.update(format!("{path}\0{}\0", text.len()));
        hash.update(text);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

impl Layer {
    fn file(&self, path: &str) -> Option<SourceText<'_>> {
        self.files.get(path).map(|text| SourceText { file: self.shown(path), text })
    }

    fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        let folder = folder.to_owned();
        self.files
            .iter()
            .filter(move |(path, _)| path.starts_with(&folder))
            .map(|(p, t)| (p.as_str(), t.as_str()))
    }

    fn shown(&self, path: &str) -> String {
        match self.called.get(path) {
            Some(called) => called.clone(),
            None if self.name.is_empty() => path.to_owned(),
            None => format!("{}/{path}", self.name),
        }
    }
}
