//! One record as bytes: a fixed-size cell per column, written without allocating.

use tsumiage_schemas::{Layout, Month};

/// Greatest bytes of a cell; the widest item made here is a quoted name of 27.
const CELL: usize = 30;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell {
    bytes: [u8; CELL],
    len: u8,
    sent: Sent,
}

/// Whether a sparse record carries an item that has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// It did not change since it was last sent.
    No,
    /// It changed: once.
    Once,
    /// Keys: always.
    Always,
}

const BLANK: Cell = Cell { bytes: [0; CELL], len: 0, sent: Sent::No };

/// How a sender writes its records.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Every item that has a value, or only changed ones.
    pub(super) full: bool,
    /// Quote every item.
    pub(super) quote_all: bool,
}

/// The cells of one record. Column numbers are those of [`columns!`]; items the layout does not have (or
/// does not have yet) go to a spare column that is never written.
pub(super) struct Row {
    cells: Vec<Cell>,
    line: Vec<u8>,
}

/// The column of an item in force in `month`, else the spare column.
pub(super) fn place(layout: &Layout, month: Month, name: &str) -> usize {
    let known = |column: &usize| layout.items[*column].since <= month;
    layout.column(name).filter(known).unwrap_or(layout.items.len())
}

/// Declares the items used of a layout as a struct of column numbers.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($item:ident)* }) => {
        $(#[$doc])*
        pub(super) struct $name { $(pub(super) $item: usize),* }

        impl $name {
            /// Looks the items up.
            pub(super) fn of(layout: &tsumiage_schemas::Layout, month: tsumiage_schemas::Month) -> $name {
                $name { $($item: $crate::synth::row::place(layout, month, stringify!($item))),* }
            }
        }
    };
}
pub(super) use columns;

impl Row {
    /// A record of the layout, all blank.
    pub(super) fn new(layout: &Layout) -> Row {
        let columns = layout.items.len();
        Row { cells: vec![BLANK; columns + 1], line: vec![0; columns * (CELL + 3) + 2] }
    }

    /// All blank again.
    pub(super) fn clear(&mut self) {
        self.cells.fill(BLANK);
    }

    /// Gives an item a value, which is cut to what a cell holds. Sent only if it differs.
    pub(super) fn set(&mut self, column: usize, value: &[u8]) {
        let len = value.len().min(CELL);
        let cell = &mut self.cells[column];
        if cell.bytes[..usize::from(cell.len)] != value[..len] {
            *cell = Cell { len: len as u8, sent: Sent::Once, ..BLANK };
            cell.bytes[..len].copy_from_slice(&value[..len]);
        }
    }

    /// Gives an item a value that is sent whether it changed or not.
    pub(super) fn key(&mut self, column: usize, value: &[u8]) {
        self.set(column, value);
        self.cells[column].sent = Sent::Always;
    }

    /// Gives an item a whole number.
    pub(super) fn number(&mut self, column: usize, value: u64) {
        let mut digits = [0; 20];
        self.set(column, decimal(value, &mut digits));
    }

    /// Gives an item a whole number that is sent whether it changed or not.
    pub(super) fn number_key(&mut self, column: usize, value: u64) {
        let mut digits = [0; 20];
        self.key(column, decimal(value, &mut digits));
    }

    /// Takes a value away: a clear mark where there was one.
    pub(super) fn unset(&mut self, column: usize) {
        if self.cells[column].len > 0 {
            self.set(column, b"*");
        }
    }

    /// Whether the item has a value.
    pub(super) fn has(&self, column: usize) -> bool {
        self.cells[column].len > 0
    }

    /// Appends the record to a buffer.
    pub(super) fn write(&mut self, style: Style, out: &mut Vec<u8>) {
        let line = self.line.as_mut_slice();
        let mut at = 0;
        let quote = usize::from(style.quote_all);
        let columns = self.cells.len() - 1;
        for cell in &self.cells[..columns] {
            // The quote is written in any case and overwritten where it does not count: no branch.
            line[at] = b'"';
            at += quote;
            if cell.sent != Sent::No || (style.full && cell.len > 0) {
                // A whole cell is copied, its length counts: one fixed-size copy instead of a call.
                line[at..at + CELL].copy_from_slice(&cell.bytes);
                at += usize::from(cell.len);
            }
            line[at] = b'"';
            at += quote;
            line[at] = b',';
            at += 1;
        }
        line[at - 1] = b'\r';
        line[at] = b'\n';
        out.extend_from_slice(&line[..=at]);
    }

    /// What was written is sent: nothing has changed since, what was cleared is blank.
    pub(super) fn settle(&mut self) {
        for cell in &mut self.cells {
            if cell.sent == Sent::Once {
                cell.sent = Sent::No;
                if cell.bytes[..usize::from(cell.len)] == *b"*" {
                    *cell = BLANK;
                }
            }
        }
    }
}

/// A number in digits, written to the end of the space given.
pub(super) fn decimal(mut value: u64, space: &mut [u8; 20]) -> &[u8] {
    let mut at = space.len();
    loop {
        at -= 1;
        space[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &space[at..];
        }
    }
}
