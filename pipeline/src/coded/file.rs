//! Files of one table, and their row groups.

use super::column::{ColumnWriter, Way};
use super::page::Scratch;
use super::values::{Numbers, Values};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;

thread_local! {
    /// Used again from page to page: a compressor is dear to make.
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// Calls `f` with the memory of this thread.
fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> Result<T>) -> Result<T> {
    SCRATCH.with_borrow_mut(|kept| match kept {
        Some(scratch) => f(scratch),
        None => f(kept.insert(Scratch::new()?)),
    })
}

/// What all files of a table have in common.
#[derive(Clone)]
pub struct Shape {
    schema: SchemaRef,
    descr: Arc<SchemaDescriptor>,
    properties: WriterPropertiesPtr,
    ways: Vec<(Way, bool)>,
}

impl Shape {
    /// Of a table whose columns are all optional; `unique` are columns of which nearly every row has another value,
    /// `bloom` those with a bloom filter. Of the properties those about the file count (`created_by`, sorting).
    ///
    /// # Errors
    /// Parquet has no such type.
    pub fn new(
        schema: &SchemaRef,
        unique: &[&str],
        bloom: &[&str],
        mut properties: WriterProperties,
    ) -> Result<Shape> {
        let descr = Arc::new(ArrowSchemaConverter::new().convert(schema)?);
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let way = |field: &Arc<arrow::datatypes::Field>| {
            let way = match field.data_type() {
                DataType::Boolean => Way::Bits,
                _ if unique.contains(&field.name().as_str()) => Way::Plain,
                _ => Way::Dictionary,
            };
            (way, bloom.contains(&field.name().as_str()))
        };
        let ways = schema.fields().iter().map(way).collect();
        Ok(Shape { schema: Arc::clone(schema), descr, properties: Arc::new(properties), ways })
    }

    /// The table's schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A writer for a column's next chunk.
    pub fn column(&self, at: usize) -> ColumnWriter {
        let (way, bloom) = self.ways[at];
        ColumnWriter::new(way, bloom)
    }
}

impl ColumnWriter {
    /// Adds a page: the numbers of these rows, or of all if `None`; `values` are those of the column, of which more
    /// may have come since the last page.
    ///
    /// # Errors
    /// The page cannot be compressed.
    pub fn add(&mut self, numbers: &Numbers, rows: Option<&[u32]>, values: &Values) -> Result<()> {
        with_scratch(|scratch| self.page(numbers, rows, values, scratch))
    }
}

/// A file being written, a row group at a time.
pub struct GroupsWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    descr: Arc<SchemaDescriptor>,
}

impl<W: Write + Send> GroupsWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(out: W, shape: &Shape) -> Result<GroupsWriter<W>> {
        let root = shape.descr.root_schema_ptr();
        let writer = SerializedFileWriter::new(out, root, Arc::clone(&shape.properties))?;
        Ok(GroupsWriter { writer, descr: Arc::clone(&shape.descr) })
    }

    /// Writes a row group: a chunk of every column, in order, each with its values.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn group<'v>(&mut self, columns: impl Iterator<Item = (ColumnWriter, &'v Values)>) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        for ((column, values), descr) in columns.zip(self.descr.columns()) {
            let (bytes, result) = with_scratch(|scratch| column.close(descr, values, scratch))?;
            group.append_column(&Bytes::from(bytes), result)?;
        }
        group.close()?;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(&mut self) -> Result<ParquetMetaData> {
        self.writer.finish()
    }

    /// What is written to.
    pub fn inner_mut(&mut self) -> &mut W {
        self.writer.inner_mut()
    }
}
