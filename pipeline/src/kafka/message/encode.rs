//! Record batches as values of messages.

use crate::aside::bytes_of;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow::ipc::{CompressionType, MetadataVersion};

/// Most bytes of a value, but for one row that is larger all by itself.
pub const MESSAGE_BYTES: usize = 900_000;

/// Bytes of a value that a cut aims at: rows differ.
const AIM_BYTES: u64 = 750_000;

/// Most bytes in memory of the rows of one value, however well they compress.
const MOST_MEMORY: u64 = 16 << 20;

/// Bytes in memory from which on the compression of a value tells something of that of the next.
const TELLING_BYTES: u64 = 256 << 10;

/// ZSTD's level; 1 is a third faster than its usual 3 and takes no more bytes (measured with facts).
const LEVEL: i32 = 1;

/// Bytes to whose multiples buffers are filled up; values are copied and decompressed anyway.
const ALIGNMENT: usize = 8;

/// The end of a stream: no more messages.
pub(super) const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Encodes the batches of an attempt; keeps what is worth keeping from one to the next.
pub struct Encoder {
    generator: IpcDataGenerator,
    options: IpcWriteOptions,
    context: IpcWriteContext,
    known: Vec<Known>,
}

/// What was met of the batches of one schema.
struct Known {
    schema: SchemaRef,
    /// The schema as the first message of a stream.
    message: Vec<u8>,
    /// Bytes of the last telling value for 1000 bytes in memory; 0: none yet.
    permille: u64,
}

impl Encoder {
    /// An encoder.
    ///
    /// # Errors
    /// Arrow refuses the options: never.
    pub fn new() -> Result<Encoder, ArrowError> {
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?
            .try_with_compression(Some(CompressionType::ZSTD))?
            .try_with_compression_level(Some(LEVEL))?;
        let mut context = IpcWriteContext::default();
        context.set_reserve_scratch(true);
        Ok(Encoder { generator: IpcDataGenerator::default(), options, context, known: Vec::new() })
    }

    /// Encodes a batch as values of at most [`MESSAGE_BYTES`], in row order; none if it has no rows.
    ///
    /// # Errors
    /// Arrow's, or `emit`'s.
    pub fn encode<E: From<ArrowError>>(
        &mut self,
        batch: &RecordBatch,
        emit: &mut dyn FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let known = self.known(&batch.schema())?;
        let memory = bytes_of(batch) as u64;
        let value = memory * self.known[known].permille / 1000;
        let parts = value.div_ceil(AIM_BYTES).max(memory.div_ceil(MOST_MEMORY)).max(1);
        let rows = batch.num_rows().div_ceil(usize::try_from(parts).unwrap_or(usize::MAX)).max(1);
        let mut from = 0;
        while from < batch.num_rows() {
            let part = batch.slice(from, rows.min(batch.num_rows() - from));
            self.part(known, &part, emit)?;
            from += rows;
        }
        Ok(())
    }

    /// Encodes rows as one value, or in halves if that is too large.
    fn part<E: From<ArrowError>>(
        &mut self,
        known: usize,
        part: &RecordBatch,
        emit: &mut dyn FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let value = self.value(known, part)?;
        let rows = part.num_rows();
        if value.len() <= MESSAGE_BYTES || rows <= 1 {
            return emit(value);
        }
        drop(value);
        self.part(known, &part.slice(0, rows / 2), emit)?;
        self.part(known, &part.slice(rows / 2, rows - rows / 2), emit)
    }

    fn value(&mut self, known: usize, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut dictionaries = DictionaryTracker::new(true); // there are none
        let (_, encoded) =
            self.generator.encode(batch, &mut dictionaries, &self.options, &mut self.context)?;
        let body = encoded.arrow_data.len();
        let known = &mut self.known[known];
        let memory = bytes_of(batch) as u64;
        if memory >= TELLING_BYTES {
            known.permille = body as u64 * 1000 / memory;
        }
        let room = known.message.len() + encoded.ipc_message.len() + body + 64; // prefixes and padding
        let mut value = Vec::with_capacity(room);
        value.extend_from_slice(&known.message);
        write_message(&mut value, encoded, &self.options)?;
        value.extend_from_slice(&END);
        Ok(value)
    }

    /// Place of a schema among the known.
    fn known(&mut self, schema: &SchemaRef) -> Result<usize, ArrowError> {
        if let Some(at) = self.known.iter().position(|known| known.schema == *schema) {
            return Ok(at);
        }
        let mut dictionaries = DictionaryTracker::new(true);
        let encoded =
            self.generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &self.options);
        let mut message = Vec::new();
        write_message(&mut message, encoded, &self.options)?;
        self.known.push(Known { schema: schema.clone(), message, permille: 0 });
        Ok(self.known.len() - 1)
    }
}
