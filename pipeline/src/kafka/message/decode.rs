//! Values of messages as record batches.
//!
//! Arrow's reader trusts what a stream says of itself: it panics over lengths that are wrong, and takes as much
//! memory as it is told to. So all that is looked at here first.

use super::encode::END;
use super::{Kind, NotOurs};
use crate::ledger::findings_schema;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::{
    self, BodyCompressionMethod, CompressionType, DateUnit, Endianness, KeyValue, Message, MetadataVersion,
    Type, root_as_message,
};
use std::collections::HashMap;
use std::sync::Arc;
use tsumiage_schemas::tables::{FACT_KEY_COLUMNS, fact_keys};

/// Most bytes that the buffers of a value may have when decompressed.
const MOST_MEMORY: i64 = 256 << 20;

/// Most columns of a batch.
const MOST_COLUMNS: usize = 4_096;

/// Most bytes of names and descriptions of columns.
const MOST_NAMES: usize = 4 << 20;

/// Most bytes of a value of fixed width.
const MOST_WIDTH: i32 = 4_096;

fn no(what: &str) -> NotOurs {
    NotOurs(format!("its value {what}"))
}

fn refused(error: &ArrowError) -> NotOurs {
    NotOurs(format!("its value cannot be decoded: {error}"))
}

/// A value, looked through but not decompressed.
struct Looked<'v> {
    schema: SchemaRef,
    batch: ipc::RecordBatch<'v>,
    body: &'v [u8],
}

/// Decodes the value of a batch.
///
/// # Errors
/// It is none.
pub fn decode(value: &[u8]) -> Result<RecordBatch, NotOurs> {
    let Looked { schema, batch, body } = look(value)?;
    let body = Buffer::from(body);
    let none = HashMap::new();
    let decoder = RecordBatchDecoder::try_new(&body, batch, schema, &none, &MetadataVersion::V5);
    decoder.and_then(RecordBatchDecoder::read_record_batch).map_err(|e| refused(&e))
}

/// Checks without decompressing it that a value is a batch of this kind.
pub(super) fn check(kind: Kind, value: &[u8]) -> Result<(), NotOurs> {
    let schema = look(value)?.schema;
    let fits = match kind {
        Kind::Facts(table) => {
            let keys = fact_keys(table).into_iter().map(Arc::new);
            schema.fields().len() >= FACT_KEY_COLUMNS
                && schema.fields().iter().zip(keys).all(|(a, b)| *a == b)
        }
        Kind::Findings => schema == findings_schema(),
        Kind::Seal => false,
    };
    if fits { Ok(()) } else { Err(no("has other columns than its kind")) }
}

fn look(value: &[u8]) -> Result<Looked<'_>, NotOurs> {
    let (message, body, rest) = frame(value)?;
    let schema = message.header_as_schema().ok_or_else(|| no("does not begin with a schema"))?;
    if !body.is_empty() {
        return Err(no("has a schema with a body"));
    }
    let schema = schema_of(schema)?;
    let (message, body, rest) = frame(rest)?;
    let batch = message.header_as_record_batch().ok_or_else(|| no("has no batch behind the schema"))?;
    if rest != END {
        return Err(no("has more than one batch"));
    }
    let by_zstd = |by: ipc::BodyCompression<'_>| {
        by.codec() == CompressionType::ZSTD && by.method() == BodyCompressionMethod::BUFFER
    };
    if !batch.compression().is_some_and(by_zstd) {
        return Err(no("is not compressed by ZSTD"));
    }
    if batch.length() < 1 {
        return Err(no("has no rows"));
    }
    let mut columns = Columns { batch, body, node: 0, buffer: 0, memory: 0 };
    schema.fields().iter().try_for_each(|field| columns.column(field.data_type()))?;
    if batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err(no("has buffers of views"));
    }
    Ok(Looked { schema, batch, body })
}

/// The first message of a stream, its body, and what is behind it.
fn frame(stream: &[u8]) -> Result<(Message<'_>, &[u8], &[u8]), NotOurs> {
    let short = || no("is cut off");
    let (mark, rest) = stream.split_first_chunk::<4>().ok_or_else(short)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    if *mark != END[..4] {
        return Err(no("is not an Arrow stream"));
    }
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (message, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    let message = root_as_message(message).map_err(|_| no("is not an Arrow stream"))?;
    if message.version() != MetadataVersion::V5 {
        return Err(no("is an Arrow stream of another version"));
    }
    let length = usize::try_from(message.bodyLength()).map_err(|_| short())?;
    let (body, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    Ok((message, body, rest))
}

/// The schema, if it has only columns such as ours.
fn schema_of(schema: ipc::Schema<'_>) -> Result<SchemaRef, NotOurs> {
    let some = schema.fields().filter(|fields| !fields.is_empty() && fields.len() <= MOST_COLUMNS);
    let fields = some.ok_or_else(|| no("has no columns or too many"))?;
    if schema.endianness() != Endianness::Little {
        return Err(no("is of another machine"));
    }
    let mut names = described(schema.custom_metadata());
    for field in fields {
        let known = match (field.type_type(), field.children()) {
            (Type::List, Some(children)) if children.len() == 1 => {
                let child = children.get(0);
                names += child.name().map_or(0, str::len) + described(child.custom_metadata());
                field.type_as_list().is_some() && field.dictionary().is_none() && is_flat(&child)
            }
            _ => is_flat(&field),
        };
        if !known {
            return Err(no("has a column of an unknown type"));
        }
        names += field.name().map_or(0, str::len) + described(field.custom_metadata());
        if names > MOST_NAMES {
            return Err(no("has too long descriptions"));
        }
    }
    Ok(Arc::new(fb_to_schema(schema)))
}

/// Bytes of a description.
fn described<'v>(pairs: Option<impl IntoIterator<Item = KeyValue<'v>>>) -> usize {
    let bytes = |pair: KeyValue<'v>| pair.key().map_or(0, str::len) + pair.value().map_or(0, str::len);
    pairs.map_or(0, |pairs| pairs.into_iter().map(bytes).sum())
}

/// Whether a column is of a type that facts and findings have, but for lists.
fn is_flat(field: &ipc::Field<'_>) -> bool {
    let type_known = match field.type_type() {
        Type::Utf8 => field.type_as_utf_8().is_some(),
        Type::Binary => field.type_as_binary().is_some(),
        Type::Bool => field.type_as_bool().is_some(),
        Type::Int => {
            let known = |int: ipc::Int<'_>| matches!(int.bitWidth(), 32 | 64) && int.is_signed();
            field.type_as_int().is_some_and(known)
        }
        Type::Date => field.type_as_date().is_some_and(|date| date.unit() == DateUnit::DAY),
        Type::FixedSizeBinary => {
            field.type_as_fixed_size_binary().is_some_and(|t| (1..=MOST_WIDTH).contains(&t.byteWidth()))
        }
        _ => false,
    };
    type_known && field.dictionary().is_none()
}

/// Goes over the columns of a batch in the order of its nodes and buffers. What arrow checks with an error, such
/// as columns of unequal lengths, is left to it.
struct Columns<'v> {
    batch: ipc::RecordBatch<'v>,
    body: &'v [u8],
    node: usize,
    buffer: usize,
    /// Bytes of the buffers so far when decompressed.
    memory: i64,
}

impl Columns<'_> {
    fn column(&mut self, data_type: &DataType) -> Result<(), NotOurs> {
        let nodes = self.batch.nodes().filter(|nodes| self.node < nodes.len());
        let node = *nodes.ok_or_else(|| no("has too few columns"))?.get(self.node);
        self.node += 1;
        let length = node.length();
        if !(0..=i64::from(i32::MAX)).contains(&length) {
            return Err(no("has a column of no possible length"));
        }
        let bits = (length + 7) / 8;
        if self.buffer()? != bits && node.null_count() > 0 {
            return Err(no("does not say which values are missing"));
        }
        let offsets = (length + 1) * 4;
        let needed = match data_type {
            DataType::Boolean => bits,
            DataType::Int64 => length * 8,
            DataType::FixedSizeBinary(width) => length * i64::from(*width),
            DataType::Utf8 | DataType::Binary | DataType::List(_) => offsets,
            _ => length * 4,
        };
        if self.buffer()? != needed {
            return Err(no("has values of another width"));
        }
        match data_type {
            DataType::Utf8 | DataType::Binary => self.buffer().map(drop),
            DataType::List(each) => self.column(each.data_type()),
            _ => Ok(()),
        }
    }

    /// Bytes of the next buffer when decompressed.
    fn buffer(&mut self) -> Result<i64, NotOurs> {
        let buffers = self.batch.buffers().filter(|buffers| self.buffer < buffers.len());
        let buffer = *buffers.ok_or_else(|| no("has too few buffers"))?.get(self.buffer);
        self.buffer += 1;
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = range.and_then(|(from, length)| self.body.get(from..from.checked_add(length)?));
        let bytes = bytes.ok_or_else(|| no("has a buffer outside of itself"))?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let (length, rest) =
            bytes.split_first_chunk::<8>().ok_or_else(|| no("has a buffer without length"))?;
        let length = match i64::from_le_bytes(*length) {
            -1 => rest.len() as i64, // not compressed
            length => length,
        };
        self.memory = self.memory.saturating_add(length);
        if length < 0 || self.memory > MOST_MEMORY {
            return Err(no("is larger than any batch"));
        }
        Ok(length)
    }
}
