//! A ledger of many commits is compacted: the same facts in few runs, also for who is killed or was reading.

use super::super::manifest::Manifest;
use super::super::{Commit, Ledger};
use super::{facts, facts_of, take_in_with};
use crate::disk;
use crate::reader::Compiled;
use crate::synth::{SynthOptions, synth};
use arrow::array::RecordBatch;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tsumiage_schemas::{FactTable, Spec};

/// A data folder and files for it, in order.
struct Place {
    folder: tempfile::TempDir,
    compiled: Compiled,
    files: Vec<PathBuf>,
}

impl Place {
    /// Files of two towns of a union and of 10 months.
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let spec = Arc::new(Spec::embedded().unwrap());
        let options = SynthOptions {
            recipients: 60,
            movements: Some(600),
            months: 10,
            insurers: 2,
            seed: 5,
            union: true,
            ..SynthOptions::default()
        };
        let inbox = folder.path().join("inbox");
        synth(&options, &spec, &inbox).unwrap();
        let place = Place { files: disk::entries(&inbox).unwrap(), compiled: Compiled::new(spec), folder };
        assert!(place.files.len() > 20, "{:?}", place.files);
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Takes every file in with a commit of its own; `each` comes after each.
    fn take_in(&self, files: &[PathBuf], each: impl Fn(&mut Ledger)) {
        fs::create_dir_all(self.data()).unwrap();
        for file in files {
            let mut ledger =
                take_in_with(&self.data(), std::slice::from_ref(file), &self.compiled, usize::MAX);
            each(&mut ledger);
        }
    }

    /// Begins a commit that adds nothing.
    fn begin(&self) {
        let mut ledger = Ledger::open(&self.data()).unwrap();
        Commit::begin(&mut ledger, 0).unwrap().finish().unwrap();
    }

    fn manifest(&self, number: usize) -> PathBuf {
        self.data().join(format!("ledger/manifests/{number:08}.json"))
    }

    /// All run files on the disk.
    fn on_disk(&self) -> Vec<PathBuf> {
        let below = |folder: &str| disk::entries(&self.data().join("ledger").join(folder)).unwrap();
        let folders = below("facts").into_iter().chain(below("registry"));
        folders.flat_map(|folder| disk::entries(&folder).unwrap()).collect()
    }
}

/// The facts without the numbers of runs.
fn rows(facts: BTreeMap<String, (usize, RecordBatch)>) -> BTreeMap<String, RecordBatch> {
    facts.into_iter().map(|(insurer_no, (_, rows))| (insurer_no, rows)).collect()
}

fn runs(ledger: &Ledger) -> Vec<PathBuf> {
    let runs = FactTable::ALL.into_iter().flat_map(|table| ledger.runs_of(table));
    let mut runs: Vec<PathBuf> = runs.map(|run| ledger.path(&run.path)).collect();
    runs.sort();
    runs
}

#[test]
fn a_ledger_compacted_as_it_grows_has_the_facts_of_one_that_is_not() {
    let (many, few) = (Place::new(), Place::new());
    many.take_in(&many.files, |_| ());
    few.take_in(&few.files, |ledger| {
        ledger.compact().unwrap();
        assert!(ledger.most_runs() <= 16);
    });
    let (many, few) = (Ledger::open(&many.data()).unwrap(), Ledger::open(&few.data()).unwrap());
    assert!(
        many.most_runs() > 16 && few.commits() > many.commits(),
        "{} {}",
        many.most_runs(),
        few.commits()
    );
    assert_eq!(rows(facts_of(&many)), rows(facts_of(&few)));
    assert_eq!(many.files().collect::<Vec<_>>(), few.files().collect::<Vec<_>>());
    assert_eq!((many.next_seq(), many.superseded()), (few.next_seq(), few.superseded()));
    let of =
        |ledger: &Ledger| FactTable::ALL.map(|table| ledger.runs_of(table).map(|run| run.rows).sum::<i64>());
    assert_eq!(of(&many), of(&few));
}

#[test]
fn who_opened_it_before_reads_on_until_the_next_commit() {
    let place = Place::new();
    place.take_in(&place.files, |_| ());
    let before = Ledger::open(&place.data()).unwrap();
    let facts_before = facts_of(&before);
    let mut ledger = before.clone();
    let compacted = ledger.compact().unwrap().unwrap();
    assert_eq!(compacted.runs - compacted.into, runs(&before).len() - runs(&ledger).len());
    assert_eq!(facts_of(&before), facts_before, "the old runs are still there");
    assert_eq!(rows(facts(&place.data())), rows(facts_before));
    assert_eq!(ledger.compact().unwrap(), None, "there is no more to do");
    assert_eq!(place.on_disk().len(), runs(&before).len() + compacted.into);
    // Killed while it removes them: the next goes on.
    let replaced = runs(&before).into_iter().find(|run| !runs(&ledger).contains(run)).unwrap();
    fs::remove_file(replaced).unwrap();
    for _ in 0..2 {
        place.begin();
        assert_eq!(place.on_disk(), runs(&ledger));
    }
    assert_eq!(facts(&place.data()), facts_of(&ledger));
}

#[test]
fn a_compaction_killed_before_its_manifest_never_was() {
    let place = Place::new();
    let (last, files) = place.files.split_last().unwrap();
    place.take_in(files, |_| ());
    let before = facts(&place.data());
    let compact = || {
        let mut ledger = Ledger::open(&place.data()).unwrap();
        ledger.compact().unwrap().unwrap();
        let path = place.manifest(ledger.commits());
        (fs::read(&path).unwrap(), path)
    };
    let (manifest, path) = compact();
    fs::remove_file(&path).unwrap();
    assert_eq!(facts(&place.data()), before, "the merged runs do not count");
    let (again, _) = compact();
    assert_eq!(again, manifest, "the same runs, byte for byte");
    fs::remove_file(&path).unwrap();
    // The next commit takes the number; nothing of the compaction is left.
    place.take_in(std::slice::from_ref(last), |_| ());
    assert_eq!(place.on_disk(), runs(&Ledger::open(&place.data()).unwrap()));
    let all = Place::new();
    all.take_in(&all.files, |_| ());
    assert_eq!(facts(&place.data()), facts(&all.data()));
}

/// Changes a manifest, the last one.
fn changed(path: &Path, change: impl Fn(&mut Value)) {
    let mut manifest: Value = disk::read_json(path).unwrap();
    change(&mut manifest);
    fs::write(path, disk::to_json(path, &manifest).unwrap()).unwrap();
}

#[test]
fn a_manifest_that_would_lose_or_double_facts_is_refused() {
    let place = Place::new();
    place.take_in(&place.files, |_| ());
    let mut ledger = Ledger::open(&place.data()).unwrap();
    ledger.compact().unwrap().unwrap();
    let path = place.manifest(ledger.commits());
    let whole = fs::read(&path).unwrap();
    let fewer: &dyn Fn(&mut Value) = &|manifest| {
        manifest["runs"].as_array_mut().unwrap().pop();
    };
    let changes: [&dyn Fn(&mut Value); 4] = [
        fewer,
        &|manifest| manifest["runs"][0]["rows"] = 1.into(),
        &|manifest| {
            manifest["replaces"].as_array_mut().unwrap().pop();
        },
        &|manifest| manifest["replaces"][0] = "facts/141003/00000099-0000.parquet".into(),
    ];
    for change in changes {
        changed(&path, change);
        let error = Ledger::open(&place.data()).unwrap_err().to_string();
        assert!(error.contains("replaces runs") && error.contains("tsumiage rebuild"), "{error}");
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(runs(&Ledger::open(&place.data()).unwrap()), runs(&ledger));
}

#[test]
fn manifests_of_the_time_before_compaction_open_and_are_compacted() {
    let place = Place::new();
    place.take_in(&place.files, |_| ());
    let before = facts(&place.data());
    let mut parent: Option<String> = None;
    for number in 1..=place.files.len() {
        let path = place.manifest(number);
        assert_eq!(
            disk::read_json::<Value>(&path).unwrap().get("replaces"),
            None,
            "only where it says something"
        );
        changed(&path, |manifest| {
            manifest["parent"] = parent.clone().into();
            for run in manifest["runs"].as_array_mut().unwrap() {
                run.as_object_mut().unwrap().remove("files");
            }
        });
        parent = Some(super::super::manifest::hash(&fs::read(&path).unwrap()));
    }
    let mut ledger = Ledger::open(&place.data()).unwrap();
    assert!(FactTable::ALL.iter().all(|table| ledger.runs_of(*table).all(|run| run.files.is_empty())));
    ledger.compact().unwrap().unwrap();
    let manifest: Manifest = disk::read_json(&place.manifest(ledger.commits())).unwrap();
    assert!(manifest.runs.iter().all(|run| !run.files.is_empty()), "a merged run names its files");
    assert!(manifest.files.is_empty() && manifest.findings.is_none() && !manifest.items.is_empty());
    let named =
        |(_, run): (&str, Vec<&super::super::RunEntry>)| run.into_iter().map(|run| run.rows).sum::<i64>();
    let total: i64 = ledger.runs().into_iter().map(named).sum();
    assert_eq!(total, before.values().map(|(_, rows)| rows.num_rows() as i64).sum::<i64>());
}
