//! The recipient tables of one holder: one history file and one file per service month.
//!
//! Promise: a file is written only if it has rows; every column of a chunk is looked at once and then written, page
//! by page, into the history and all months; columns and files are made on all cores, each by itself, so that
//! threads cannot change bytes.

use super::calendar::MonthRows;
use super::digest::{OWN_MONTH_COLUMNS, RowsDigest, order};
use super::months::{ChunkMonths, Context};
use super::output::Output;
use super::own::OwnColumn;
use super::sources::{Sources, chain};
use super::table_file::{GROUP_ROWS, PublishedFile, RECIPIENT_TABLE, properties};
use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use parquet::errors::ParquetError;
use rayon::prelude::*;
use std::path::Path;
use tsumiage_pipeline::coded::{ColumnWriter, GroupsWriter, Numbers, Shape, Values};
use tsumiage_pipeline::disk::{self, DiskError};
use tsumiage_pipeline::hashing::Hashing;
use tsumiage_schemas::{Month, MonthRange};

/// Both recipient tables, and where their columns come from.
pub struct RecipientTables {
    history: Shape,
    month: Shape,
    sources: Sources,
}

impl RecipientTables {
    /// Of tables with these schemas.
    ///
    /// # Errors
    /// Parquet has no such type.
    pub fn new(history: &SchemaRef, month: &SchemaRef) -> Result<RecipientTables, ParquetError> {
        let shape = |schema: &SchemaRef| {
            let properties = properties(schema, &RECIPIENT_TABLE).build();
            Shape::new(schema, &["insured_no", "record_no"], &["insured_no"], properties)
        };
        let sources = Sources::new(history, month);
        Ok(RecipientTables { history: shape(history)?, month: shape(month)?, sources })
    }
}

/// Files of a unit that an earlier snapshot has as they would be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Months it published.
    pub months: Option<MonthRange>,
    /// Whether it has the history.
    pub history: bool,
}

/// Writers of one holder.
pub struct HolderFiles<'a> {
    root: &'a Path,
    holder_no: String,
    context: &'a Context<'a>,
    tables: &'a RecipientTables,
    /// Distinct values by source.
    values: Vec<Values>,
    history: Columns,
    months: Columns,
    files: Vec<TableOut>,
}

/// Writers of all columns of a table, each with one for every file.
struct Columns(Vec<Vec<ColumnWriter>>);

/// A file of a holder: the history, or one of a month.
struct TableOut {
    relative: String,
    /// It stands already and is not written.
    stands: bool,
    open: Option<(Output, GroupsWriter<Hashing>)>,
    digest: RowsDigest,
    /// Rows of the row group at work.
    rows: usize,
}

impl<'a> HolderFiles<'a> {
    /// Writers for a holder, below a snapshot folder.
    pub fn new(
        root: &'a Path,
        holder_no: &str,
        context: &'a Context<'a>,
        tables: &'a RecipientTables,
        standing: &Standing,
    ) -> HolderFiles<'a> {
        let file = |relative: String, stands: bool| TableOut {
            relative,
            stands,
            open: None,
            digest: RowsDigest::default(),
            rows: 0,
        };
        let mut files = vec![file(format!("recipient_history/{holder_no}.parquet"), standing.history)];
        files.extend(context.range.months().map(|month| {
            file(month_path(month, holder_no), standing.months.is_some_and(|months| months.holds(month)))
        }));
        HolderFiles {
            root,
            holder_no: holder_no.to_owned(),
            context,
            tables,
            values: tables.sources.values(),
            history: Columns::new(&tables.history, 1),
            months: Columns::new(&tables.month, files.len() - 1),
            files,
        }
    }

    /// Whose rows these are.
    pub fn holder_no(&self) -> &str {
        &self.holder_no
    }

    /// Writes a stacked chunk of this holder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&mut self, stacked: &RecordBatch, chunk: &ChunkMonths) -> Result<(), DiskError> {
        if chunk.live_rows.is_empty() {
            return Ok(());
        }
        let tables = self.tables;
        let (sources, schema) = (&tables.sources, tables.month.schema());
        let history = sources.history(stacked, chunk, self.context, &mut self.values);
        let own = self.own_columns(&history, chunk);
        let shared = sources.shared_hashes(&history, &self.values, schema);
        self.add_digests(&history, &own, &shared, chunk);
        let root = self.root;
        let failed = |e| DiskError::invalid(root, e);
        self.write_pages(&history, &own, chunk).map_err(failed)?;
        self.end_full_groups()
    }

    /// A month's own columns of every month, by their place in the table; none for the other columns.
    fn own_columns(&mut self, history: &[Numbers], chunk: &ChunkMonths) -> Vec<Vec<Numbers>> {
        let sources = &self.tables.sources;
        let own = OwnColumn { context: self.context, sources, holder_no: &self.holder_no, history };
        let files = &self.files[1..];
        let of_months = |numbers: &mut dyn FnMut(usize, &MonthRows) -> Numbers| -> Vec<Numbers> {
            let months = chunk.months.iter().zip(files).enumerate();
            let of_month = |(index, (rows, file)): (usize, (&MonthRows, &TableOut))| {
                if file.stands { Numbers::default() } else { numbers(index, rows) }
            };
            months.map(of_month).collect()
        };
        let of_sources = self.values.par_iter_mut().enumerate().with_max_len(1);
        let of_sources = of_sources.map(|(at, values)| match sources.own_name(at) {
            Some(name) => of_months(&mut |index, rows| own.numbers(name, index, rows, values)),
            None => Vec::new(),
        });
        let mut of_sources: Vec<Vec<Numbers>> = of_sources.collect();
        let columns = self.tables.month.schema().fields().iter().zip(&sources.month);
        let column = |(field, &at): (&FieldRef, &usize)| match sources.own_name(at) {
            Some(_) => std::mem::take(&mut of_sources[at]),
            None if OWN_MONTH_COLUMNS.contains(&field.name().as_str()) => {
                of_months(&mut |_, rows| own.of_history(field.name(), rows).unwrap_or_default())
            }
            None => Vec::new(),
        };
        columns.map(column).collect()
    }

    fn add_digests(
        &mut self,
        history: &[Numbers],
        own: &[Vec<Numbers>],
        shared: &[u64],
        chunk: &ChunkMonths,
    ) {
        let (sources, values, schema) = (&self.tables.sources, &self.values, self.tables.history.schema());
        self.files.par_iter_mut().enumerate().with_max_len(1).filter(|(_, file)| !file.stands).for_each(
            |(at, file)| {
                let Some(month) = at.checked_sub(1) else {
                    let mut hashes = vec![0; chunk.live_rows.len()];
                    for source in order(schema).map(|at| sources.history[at]) {
                        chain(&mut hashes, &history[source], &values[source]);
                    }
                    return file.digest.add_hashes(&hashes);
                };
                let mut hashes: Vec<u64> =
                    chunk.months[month].rows.iter().map(|row| shared[*row as usize]).collect();
                for (numbers, &source) in own.iter().zip(&sources.month).filter(|(own, _)| !own.is_empty()) {
                    chain(&mut hashes, &numbers[month], &values[source]);
                }
                file.digest.add_hashes(&hashes);
            },
        );
    }

    /// Adds a page to every column of every file.
    fn write_pages(
        &mut self,
        history: &[Numbers],
        own: &[Vec<Numbers>],
        chunk: &ChunkMonths,
    ) -> Result<(), ParquetError> {
        let (sources, values) = (&self.tables.sources, &self.values);
        let (file_of_history, files) = self.files.split_at_mut(1);
        let stands = file_of_history[0].stands;
        let of_history = self.history.0.par_iter_mut().zip(&sources.history).with_max_len(1);
        let write_history = || {
            of_history
                .filter(|_| !stands)
                .try_for_each(|(writers, &source)| writers[0].add(&history[source], None, &values[source]))
        };
        let of_months = self.months.0.par_iter_mut().zip(&sources.month).zip(own).with_max_len(1);
        let write_months = || {
            of_months.try_for_each(|((writers, &source), own)| {
                let mut months = writers.iter_mut().zip(&chunk.months).zip(&*files).enumerate();
                months.try_for_each(|(at, ((writer, rows), file))| match own.get(at) {
                    _ if file.stands => Ok(()),
                    Some(own) => writer.add(own, None, &values[source]),
                    None => writer.add(&history[source], Some(&rows.rows), &values[source]),
                })
            })
        };
        let (a, b) = rayon::join(write_history, write_months);
        file_of_history[0].rows += chunk.live_rows.len();
        for (file, rows) in files.iter_mut().zip(&chunk.months) {
            file.rows += rows.rows.len();
        }
        a.and(b)
    }

    /// Ends row groups that have enough rows.
    fn end_full_groups(&mut self) -> Result<(), DiskError> {
        let columns = self.columns_of_files(GROUP_ROWS);
        let (root, tables, values) = (self.root, self.tables, &self.values);
        let files = self.files.par_iter_mut().zip(columns).enumerate().with_max_len(1);
        files.try_for_each(|(at, (file, columns))| match columns {
            Some(columns) => file.group(root, tables, at == 0, columns, values),
            None => Ok(()),
        })
    }

    /// The columns of the row groups that have so many rows, by file.
    fn columns_of_files(&mut self, rows: usize) -> Vec<Option<Vec<ColumnWriter>>> {
        let (tables, history, months) = (self.tables, &mut self.history, &mut self.months);
        let columns = self.files.iter().enumerate().map(|(at, file)| match at.checked_sub(1) {
            _ if file.stands || file.rows < rows => None,
            None => Some(history.taken(&tables.history, 0)),
            Some(month) => Some(months.taken(&tables.month, month)),
        });
        columns.collect()
    }

    /// Ends the holder's files and gives them; one after the other on each thread, so that few are open.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(mut self) -> Result<Vec<PublishedFile>, DiskError> {
        let columns = self.columns_of_files(1);
        let (root, tables, values) = (self.root, self.tables, &self.values);
        let files = self.files.into_par_iter().zip(columns).enumerate().with_max_len(1);
        let finished = files.map(|(at, (mut file, columns))| {
            if let Some(columns) = columns {
                file.group(root, tables, at == 0, columns, values)?;
            }
            file.finish()
        });
        Ok(finished.collect::<Result<Vec<_>, DiskError>>()?.into_iter().flatten().collect())
    }
}

impl Columns {
    fn new(shape: &Shape, files: usize) -> Columns {
        let columns = shape.schema().fields().len();
        Columns((0..columns).map(|at| (0..files).map(|_| shape.column(at)).collect()).collect())
    }

    /// The writers of a file, new ones in their place.
    fn taken(&mut self, shape: &Shape, file: usize) -> Vec<ColumnWriter> {
        let columns = self.0.iter_mut().enumerate();
        columns.map(|(at, files)| std::mem::replace(&mut files[file], shape.column(at))).collect()
    }
}

impl TableOut {
    /// Writes the columns of a row group.
    fn group(
        &mut self,
        root: &Path,
        tables: &RecipientTables,
        is_history: bool,
        columns: Vec<ColumnWriter>,
        values: &[Values],
    ) -> Result<(), DiskError> {
        let (shape, sources) = if is_history {
            (&tables.history, &tables.sources.history)
        } else {
            (&tables.month, &tables.sources.month)
        };
        let (output, writer) = match &mut self.open {
            Some(open) => open,
            none => {
                let (output, out) = Output::create(root, &self.relative)?;
                let writer = GroupsWriter::new(out, shape).map_err(disk::parquet(output.path()))?;
                none.insert((output, writer))
            }
        };
        self.rows = 0;
        let columns = columns.into_iter().zip(sources.iter().map(|source| &values[*source]));
        writer.group(columns).map_err(disk::parquet(output.path()))
    }

    /// Ends the file, if anything was written.
    fn finish(self) -> Result<Option<PublishedFile>, DiskError> {
        let Some((output, mut writer)) = self.open else { return Ok(None) };
        let footer = writer.finish().map_err(disk::parquet(output.path()))?;
        let rows = footer.file_metadata().num_rows();
        output.finish(writer.inner_mut(), rows, self.digest).map(Some)
    }
}

/// Path of a holder's rows of a month below the snapshot.
pub fn month_path(month: Month, holder_no: &str) -> String {
    format!("recipient_month/month={month}/{holder_no}.parquet")
}
