//! What reading costs: files made by `synth`, held in memory. `cargo bench -p tsumiage-pipeline --bench reader
//! [REPEATS]`; the first lines are one core's, the last all cores'.

#![allow(clippy::unwrap_used)] // a benchmark may fail loudly

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;
use tsumiage_pipeline::reader::{Compiled, ReadOptions, Records, inside, read_on};
use tsumiage_pipeline::synth::{SynthOptions, synth};
use tsumiage_schemas::{Day, Spec};

const OPTIONS: ReadOptions =
    ReadOptions { batch_rows: 8_192, taken_in_on: Day(20_750), closed_through: None };

fn main() {
    let given = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let repeats: usize = given.unwrap_or(5);
    let spec = Arc::new(Spec::embedded().unwrap());
    let compiled = Compiled::new(Arc::clone(&spec));
    for (full_share, corrections) in [(0.0, false), (0.0, true), (1.0, false), (1.0, true)] {
        for (quoted, file) in files(&spec, full_share, corrections) {
            let kind = if full_share > 0.0 { "full" } else { "sparse" };
            let corrected = if corrections { ", corrections" } else { "" };
            println!("{kind}, {quoted}{corrected}: {} bytes, {}", file.len(), told(&compiled, &file));
            one_core(&compiled, &file, repeats);
            all_cores(&compiled, &file, repeats);
        }
    }
}

fn one_core(compiled: &Compiled, file: &[u8], repeats: usize) {
    let mut copy = vec![0; file.len()];
    show("memcpy", file, repeats, || {
        copy.copy_from_slice(black_box(file));
        copy.len()
    });
    show("index of separators", file, repeats, || inside::separators(black_box(file)));
    show("index and walk of items", file, repeats, || inside::items(black_box(file)));
    show("read with all checks", file, repeats, || read_with(compiled, file, 1));
}

fn all_cores(compiled: &Compiled, file: &[u8], repeats: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // So large that it is worth it, whatever was made.
    show(&format!("read, {cores} cores"), file, repeats, || read_with(compiled, file, cores));
}

/// Reads a file; gives its rows.
fn read_with(compiled: &Compiled, file: &[u8], threads: usize) -> usize {
    let mut rows = 0;
    let mut sink = |_, batch: arrow::array::RecordBatch| {
        rows += batch.num_rows();
        Ok::<_, Infallible>(())
    };
    let Ok(report) = read_on(threads, black_box(file), compiled, &OPTIONS, &mut sink);
    assert!(!report.file_rejected, "{:?}", report.findings.first());
    rows
}

/// Records, and what was found in them.
fn told(compiled: &Compiled, file: &[u8]) -> String {
    let Ok(report) = read_on(1, file, compiled, &OPTIONS, &mut |_, _| Ok::<_, Infallible>(()));
    let mut codes: BTreeMap<String, i64> = BTreeMap::new();
    report.findings.iter().for_each(|f| *codes.entry(f.code.to_string()).or_default() += f.count);
    format!("{} records, {} rejected, findings {codes:?}", report.records, report.rejected)
}

/// The median of some runs.
fn show(what: &str, file: &[u8], repeats: usize, mut run: impl FnMut() -> usize) {
    let mut seconds: Vec<f64> = (0..repeats.max(1))
        .map(|_| {
            let began = Instant::now();
            black_box(run());
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let speed = file.len() as f64 / median / 1e9;
    println!("  {what:<26} {:8.2} ms  {speed:6.2} GB/s", median * 1e3);
}

/// Two files of one kind: of the senders that quote what must be, and of those that quote every item. Each has the
/// records of many files, numbered anew.
fn files(spec: &Spec, full_share: f64, corrections: bool) -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let recipients = if full_share > 0.0 { 15_000 } else { 50_000 };
    let options =
        SynthOptions { recipients, insurers: 8, full_share, corrections, ..SynthOptions::default() };
    synth(&options, spec, folder.path()).unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut bodies =
        BTreeMap::from([("quotes where needed", Body::default()), ("all quoted", Body::default())]);
    for path in paths {
        let bytes = std::fs::read(path).unwrap();
        let all_quoted = bytes.windows(5).any(|w| w == b"\n\"2\",");
        bodies.get_mut(if all_quoted { "all quoted" } else { "quotes where needed" }).unwrap().add(&bytes);
    }
    bodies.into_iter().filter(|(_, body)| body.records > 0).map(|(what, body)| (what, body.file())).collect()
}

/// Data records of several files.
#[derive(Default)]
struct Body {
    records: usize,
    bytes: Vec<u8>,
}

impl Body {
    fn add(&mut self, file: &[u8]) {
        let mut records = Records::new(file);
        while records.advance() {
            if &*records.content(0) != b"2" {
                continue;
            }
            self.records += 1;
            let span = &records.bytes()[records.span()];
            let behind = records.raw(0).len() + 1 + records.raw(1).len();
            let quote = if records.raw(1).starts_with(b"\"") { "\"" } else { "" };
            let number = format!("{quote}2{quote},{quote}{}{quote}", self.records + 1);
            self.bytes.extend_from_slice(number.as_bytes());
            self.bytes.extend_from_slice(&span[behind..]);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn file(self) -> Vec<u8> {
        let control = format!("1,1,0,{},531,,142018,,,1,202610,0\r\n", self.records);
        let end = format!("3,{}\r\n", self.records + 2);
        [control.as_bytes(), &self.bytes, end.as_bytes()].concat()
    }
}
