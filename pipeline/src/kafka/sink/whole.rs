//! The batches of a whole file, decoded and checked against its seal.
//!
//! Promise: a file that is not what its seal says is refused with the reason, and harms no other; only the disk fails.

use super::super::assembly::WholeFile;
use super::super::message::{Kind, decode};
use super::super::spool::{Span, Spool};
use crate::disk::DiskError;
use crate::ledger::readable;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use rayon::prelude::*;
use std::collections::BTreeMap;
use tsumiage_schemas::FactTable;

/// Batches of a file that are decoded at once.
const AT_ONCE: usize = 8;

/// Bytes of a file's messages up to which its decoded batches are kept in memory; those of a larger file are decoded
/// twice.
const KEPT_BYTES: usize = 8 << 20;

/// The batches of a file that is what its seal says.
pub(super) enum Batches {
    Decoded(Vec<(Kind, RecordBatch)>),
    InSpool,
}

/// Decodes and checks a file; `own` are the schemas of facts by the layouts in force. The inner error says why the file
/// is refused.
pub(super) fn checked(
    spool: &Spool,
    own: &BTreeMap<FactTable, SchemaRef>,
    file: &WholeFile<Span>,
) -> Result<Result<Batches, String>, DiskError> {
    let keeps = file.batches.iter().map(|(_, span)| span.bytes()).sum::<usize>() <= KEPT_BYTES;
    let (mut facts, mut told) = (0, 0);
    let mut decoded = Vec::new();
    for batch in batches(spool, file) {
        let (kind, batch) = match batch? {
            Ok(batch) => batch,
            Err(why) => return Ok(Err(why)),
        };
        match kind {
            Kind::Facts(table) => {
                if let Some(why) = fault(table, &batch, &own[&table]) {
                    return Ok(Err(why.to_owned()));
                }
                facts += batch.num_rows() as i64;
            }
            Kind::Findings | Kind::Seal => told += batch.num_rows() as u64,
        }
        if keeps {
            decoded.push((kind, batch));
        }
    }
    let seal = &file.seal;
    let expected = seal.findings.entries().map(|entry| entry.rows).sum::<u64>();
    if told != expected || (!seal.file_rejected && facts != seal.accepted) {
        let (accepted, came) = (seal.accepted, format!("{facts} facts and {told} findings came"));
        return Ok(Err(format!("{came}, its seal says {accepted} and {expected}")));
    }
    Ok(Ok(if keeps { Batches::Decoded(decoded) } else { Batches::InSpool }))
}

fn fault(table: FactTable, batch: &RecordBatch, own: &SchemaRef) -> Option<&'static str> {
    if !readable(&batch.schema(), own) {
        return Some(
            "it was read with layouts that cannot be read with those of this data folder: give workers the same --layouts",
        );
    }
    let is_number =
        |no: Option<&str>| no.is_some_and(|no| !no.is_empty() && no.bytes().all(|b| b.is_ascii_digit()));
    let insurers = batch.column_by_name("insurer_no").and_then(|column| column.as_string_opt::<i32>());
    let numbered = insurers.is_some_and(|insurers| insurers.iter().all(is_number));
    (table == FactTable::Recipient && !numbered).then_some("an insurer number in it is none")
}

/// A file's batches in the order of their numbers, decoded some at once.
pub(super) fn batches<'s>(
    spool: &'s Spool,
    file: &'s WholeFile<Span>,
) -> impl Iterator<Item = Result<Result<(Kind, RecordBatch), String>, DiskError>> + 's {
    file.batches.chunks(AT_ONCE).flat_map(move |chunk| {
        let decoded = chunk.par_iter().map(|(kind, span)| {
            let value = spool.read(*span)?;
            Ok(decode(&value).map(|batch| (*kind, batch)).map_err(|error| error.to_string()))
        });
        decoded.collect::<Vec<_>>()
    })
}
