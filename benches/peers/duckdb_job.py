"""The job with DuckDB: every column of `recipient_month`; `holder_name` and `last_correction_date` are null.

    python duckdb_job.py INPUT OUT --months A..B

Nothing is checked, and there are no corrections, unions, insurers or municipal limits. Zeros alone are not taken as
blank. What is taken for granted, so that the statements are short: streams begin with a registration, ends come after
one. SQL on all cores; `docs/performance.md` has the other formulations that were measured.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from job import KEYS, Item, Job, Month, asked, columns, inherited, items, limits

KEY = ", ".join(KEYS)
CERTIFICATION = ["care_level", "certification_start_date", "certification_end_date"]
# What a cleared item is while blanks are filled: a value that no item can have.
CLEARED = {"DATE": "DATE '0001-01-01'", "INTEGER": "-1", "VARCHAR": "'*'"}


def kind(item: Item) -> str:
    """Type of the published column."""
    return "DATE" if item.is_date else "INTEGER" if item.kind == "integer" else "VARCHAR"


def value(item: Item) -> str:
    """What a record says of an item: its value, cleared, or null for a blank of a change or end."""
    text, into = item.name, kind(item)
    found = {"DATE": f"try_strptime({text}, '%Y%m%d')::DATE", "INTEGER": f"try_cast({text} AS INTEGER)"}.get(into, text)
    marked = f"starts_with({text}, '*')" if item.clear == "*" else f"trim({text}, '{item.clear}') = ''"
    clear = f"WHEN {marked} THEN {CLEARED[into]}" if item.clear else ""
    # A registration takes over nothing: its blanks are not set.
    blank = f"WHEN {text} IS NULL THEN CASE WHEN movement_type = '1' THEN {CLEARED[into]} END"
    return f"CASE {blank} {clear} ELSE {found} END AS {text}"


def filled(item: Item, window: str = "up_to_here") -> str:
    """An item with its blanks filled in from the records before; of `before` the item of the record before."""
    name = item.name if window == "up_to_here" else f"{window}_{item.name}"
    return f"nullif(last_value({item.name} IGNORE NULLS) OVER {window}, {CLEARED[kind(item)]}) AS {name}"


def covers(month: str, record: str = "") -> str:
    """Whether a certification covers any day of the month that begins on a day."""
    start, end = (f"{record}certification_{which}_date" for which in ("start", "end"))
    return f"coalesce({start} <= last_day({month}) AND ({end} IS NULL OR {end} >= greatest({month}, {start})), false)"


def together(job: Job) -> Path:
    """All files as one, each line with its file's number before it: opening one costs DuckDB 1,800 records."""
    path = job.out / "movements.csv"
    with path.open("wb") as out:
        for number, (name, _) in enumerate(job.file_ids):
            start, lines = b"%d," % number, (job.movements / name).read_bytes().removesuffix(b"\n")
            out.write(start + lines.replace(b"\n", b"\n" + start) + b"\n")
    return path


def typed(path: Path) -> str:
    """Movements with their files as typed items."""
    layout = items()
    texts = ", ".join(f"'{item.name}': 'VARCHAR'" for item in layout)
    own = f"{KEY}, strptime(movement_date, '%Y%m%d')::DATE AS movement_date, movement_type, movement_reason"
    return f"""
        SELECT {own}, {", ".join(map(value, inherited(layout)))}, file_id, record_no::BIGINT AS record_no
        FROM read_csv('{path}', header = false, auto_detect = false, delim = ',', quote = '"', escape = '"',
                      null_padding = true, strict_mode = false, columns = {{'number': 'INTEGER', {texts}}}) movement
        JOIN files USING (number)
        WHERE record_type = '2' AND exchange_id = '5311'"""


def carried(path: Path) -> str:
    """Records with blanks filled in, and what is needed of the records before and after."""
    fills = [filled(item) for item in inherited(items())]
    stream = f"PARTITION BY {KEY} ORDER BY movement_date"
    before = [filled(item, "before") for item in inherited(items()) if item.name in CERTIFICATION]
    return f"""
        CREATE TABLE carried AS
        SELECT {KEY}, movement_date, movement_type, movement_reason, {", ".join(fills + before)}, file_id, record_no,
               date_trunc('month', movement_date)::DATE AS month,
               date_trunc('month', lead(movement_date) OVER up_to_here)::DATE AS next_month,
               lag(movement_date) OVER up_to_here AS before_date, lag(movement_type) OVER up_to_here AS before_type
        FROM ({typed(path)})
        WINDOW up_to_here AS ({stream} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
               before AS ({stream} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"""


# What holds in the month of a movement's date. The record in force on the first day is the one before the month's
# first, unless that is dated on it.
DATED = f"""
    CREATE TABLE dated AS
    SELECT {KEY}, c.month, count(*)::INTEGER AS movements,
           bool_or(opens OR (movement_date = c.month AND movement_type <> '3')) AS there,
           max(greatest(CASE WHEN movement_type <> '3' AND {covers("c.month")} THEN own.weight END,
                        CASE WHEN opens AND {covers("c.month", "before_")} THEN before.weight END)) AS heaviest
    FROM (SELECT *, coalesce(before_date < month AND movement_date > month AND before_type <> '3', false) AS opens
          FROM carried) c
    LEFT JOIN limits own ON own.care_level = c.care_level AND own.month = c.month
    LEFT JOIN limits before ON before.care_level = c.before_care_level AND before.month = c.month
    GROUP BY {KEY}, c.month"""

# Records that are in force in some month, in order; an end only inside the month of its date.
RECORDS = f"""
    CREATE TABLE records AS
    SELECT c.*, movements, there, heaviest,
           CASE WHEN movement_type = '3' THEN month
                ELSE coalesce((next_month - INTERVAL 1 MONTH)::DATE, DATE '9999-12-01') END AS until
    FROM carried c JOIN dated USING ({KEY}, month)
    WHERE (next_month IS NULL OR next_month > month) AND (movement_type <> '3' OR movement_date > month)
    ORDER BY {KEY}, movement_date"""

# The last movement of every stream whose certification covers a month.
COVERING = f"""
    CREATE TABLE covering AS
    SELECT {KEY}, months.month, max(movement_date) AS covering_movement_date
    FROM (SELECT {KEY}, certification_start_date, certification_end_date, max(movement_date) AS movement_date
          FROM carried GROUP BY ALL) certified
    JOIN months ON {covers("months.month")}
    GROUP BY {KEY}, months.month"""


def service_month(month: Month) -> str:
    """The rows of a month, in order."""
    first_day = f"DATE '{month.first_day}'"
    own, covered = f"r.month = {first_day}", covers(first_day, "r.")
    derived = {
        "service_month": first_day,
        "holder_no": "r.insurer_no",
        "holder_name": "NULL::VARCHAR",
        "last_correction_date": "NULL::DATE",
        "movements_in_month": f"CASE WHEN {own} THEN movements ELSE 0 END",
        "ended_in_month": "movement_type = '3'",
        "first_day_insurer_no": f"CASE WHEN NOT {own} OR there THEN r.insurer_no END",
        "heaviest_care_level": "level.care_level",
        "limit_units": "level.limit_units",
        "limit_source": "CASE WHEN level.limit_units IS NOT NULL THEN 'table' END",
        "certification_covers_month": covered,
        "covering_movement_date": "covering_movement_date",
    }
    selected = [f"{derived.get(name, 'r.' + name)} AS {name}" for name in columns(items())]
    return f"""
        SELECT {", ".join(selected)}
        FROM records r
        LEFT JOIN (FROM limits WHERE month = {first_day}) later ON later.care_level = r.care_level
        LEFT JOIN (FROM limits WHERE month = {first_day}) level ON level.weight = CASE WHEN {own} THEN heaviest
             WHEN movement_type <> '3' AND {covered} THEN later.weight END
        LEFT JOIN (FROM covering WHERE month = {first_day}) covering
             ON (covering.insurer_no, covering.insured_no) = (r.insurer_no, r.insured_no)
        WHERE r.month <= {first_day} AND until >= {first_day}
        ORDER BY r.insurer_no, r.insured_no"""


def main() -> None:
    """Does the job."""
    job = asked(__doc__)
    job.out.mkdir(parents=True)
    db = duckdb.connect()
    db.execute("SET preserve_insertion_order = false")
    for table, columns_, values in (
        ("files", "number INTEGER, file_id VARCHAR", [(n, id_) for n, (_, id_) in enumerate(job.file_ids)]),
        ("months", "month DATE", [(month.first_day,) for month in job.months]),
        ("limits", "care_level VARCHAR, month DATE, weight INTEGER, limit_units INTEGER", limits(job.months)),
    ):
        db.execute(f"CREATE TABLE {table} ({columns_})")
        db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
    movements = together(job)
    for statement in (carried(movements), DATED, RECORDS, COVERING, "DROP TABLE carried"):
        db.execute(statement)
    movements.unlink()

    def write(month: Month) -> None:
        path = job.folder(month) / "0.parquet"
        options = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 491520"
        db.cursor().execute(f"COPY ({service_month(month)}) TO '{path}' ({options})")

    # A file of one row group is written by one thread, so months are written side by side.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        list(threads.map(write, job.months))


if __name__ == "__main__":
    main()
