//! Any text as a data file of a user's folder; the first byte says which. It is an error that names
//! the file, or a spec with which files are read as with any other.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::{Arc, LazyLock};
use tsumiage_pipeline::reader::Compiled;
use tsumiage_schemas::Spec;
use tsumiage_schemas::sources::{Layer, Sources};

const PATHS: [&str; 16] = [
    "layouts/5311-recipient-movement.csv",
    "layouts/5321-recipient-correction.csv",
    "layouts/5411-insurer-movement.csv",
    "layouts/5711-union-membership-movement.csv",
    "layouts/9999-recipient-movement.csv",
    "layouts/envelope-control.csv",
    "layouts/envelope-end.csv",
    "codes/care_level.csv",
    "codes/care_level_limits.csv",
    "findings.csv",
    "details.csv",
    "rules/periods.csv",
    "rules/check_digits.csv",
    "rules/eras.csv",
    "rules/characters.csv",
    "rules/line_end_texts.csv",
];

/// Files in whose reading every data file has a part.
const FILES: [&[u8]; 2] =
    [include_bytes!("../corpus/reader/movements.csv"), include_bytes!("../corpus/reader/memberships.csv")];

static EMBEDDED: LazyLock<Sources> = LazyLock::new(Sources::embedded);

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((which, text)) = bytes.split_first() else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(text) else { return Corpus::Reject };
    let path = PATHS[usize::from(*which) % PATHS.len()];
    let files = [(path.to_owned(), text.to_owned())].into();
    match Spec::parse(EMBEDDED.clone().with(Layer { name: "given".to_owned(), files, ..Layer::default() })) {
        Err(error) => {
            assert!(!error.file.is_empty() && !error.what.is_empty(), "{error:?}");
            let lines = text.lines().count() as u64 + 1;
            assert!(error.line <= lines || !error.file.ends_with(path), "{error:?}");
        }
        Ok(spec) => {
            let compiled = Compiled::new(Arc::new(spec));
            for file in FILES {
                tsumiage_fuzz::read_file(file, &compiled, 2);
            }
        }
    }
    Corpus::Keep
});
