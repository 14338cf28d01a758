"""Checks that a published snapshot is what the contract says to programs that are not ours.

    python check_snapshot.py SNAPSHOT

Opens every table with DuckDB, Polars and pyarrow and compares rows, nulls, sums, dates and texts; checks
column names, Arrow types, Japanese labels and sort order against the contract and the layouts of this
repository; runs views.sql in DuckDB. Prints one line per table; exits 1 with one line per difference.
"""

import datetime
import hashlib
import os
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import contract


class Report:
    """Collects differences, so that all are seen at once."""

    def __init__(self):
        self.wrong = []

    def expect(self, holds, message):
        if not holds:
            self.wrong.append(message)


def digest(pairs):
    """A short hash of (text, how often) pairs, whatever their order."""
    lines = sorted(f"{text}\0{count}" for text, count in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def days(value):
    return None if value is None else value.isoformat()


def with_pyarrow(files, schema):
    """Facts of a table: rows, and per column nulls and what its type can tell."""
    table = pa.concat_tables([pq.ParquetFile(f).read() for f in files])
    facts = {"rows": table.num_rows}
    for name, kind in schema.items():
        column = table.column(name)
        facts[name, "nulls"] = column.null_count
        present = column.drop_null()
        if kind in ("int32", "int64"):
            facts[name, "sum"] = sum(present.to_pylist())
        elif kind == "bool":
            facts[name, "true"] = sum(present.to_pylist())
        elif kind == "date32[day]":
            values = present.to_pylist()
            facts[name, "min"] = days(min(values, default=None))
            facts[name, "max"] = days(max(values, default=None))
        else:
            counts = present.combine_chunks().value_counts()
            facts[name, "text"] = digest((c["values"].as_py(), c["counts"].as_py()) for c in counts)
    return facts


def with_duckdb(glob, schema, hive):
    """The same facts by DuckDB, which finds the files itself."""
    con = duckdb.connect()
    quoted = glob.replace("'", "''")
    con.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet('{quoted}', hive_partitioning = {hive})")
    facts = {"rows": con.execute("SELECT count(*) FROM t").fetchone()[0]}
    for name, kind in schema.items():
        column = f'"{name}"'

        def one(expression, column=column):
            return con.execute(f"SELECT {expression.format(column)} FROM t").fetchone()[0]

        facts[name, "nulls"] = one("count(*) - count({0})")
        if kind in ("int32", "int64"):
            facts[name, "sum"] = int(one("coalesce(sum({0}), 0)"))
        elif kind == "bool":
            facts[name, "true"] = one("count(*) FILTER (WHERE {0})")
        elif kind == "date32[day]":
            facts[name, "min"] = days(one("min({0})"))
            facts[name, "max"] = days(one("max({0})"))
        else:
            sql = f"SELECT {column}, count(*) FROM t WHERE {column} IS NOT NULL GROUP BY 1"
            facts[name, "text"] = digest(con.execute(sql).fetchall())
    if hive:
        facts["months"] = [str(m)[:7] for (m,) in con.execute("SELECT DISTINCT month FROM t ORDER BY 1").fetchall()]
    return facts


def with_polars(glob, schema, hive):
    """The same facts by Polars, which finds the files itself."""
    frame = pl.read_parquet(glob, hive_partitioning=hive, try_parse_hive_dates=False)
    facts = {"rows": frame.height}
    for name, kind in schema.items():
        column = frame.get_column(name)
        facts[name, "nulls"] = column.null_count()
        present = column.drop_nulls()
        if kind in ("int32", "int64"):
            facts[name, "sum"] = int(present.cast(pl.Int64).sum())
        elif kind == "bool":
            facts[name, "true"] = int(present.sum())
        elif kind == "date32[day]":
            facts[name, "min"] = days(present.min())
            facts[name, "max"] = days(present.max())
        else:
            facts[name, "text"] = digest(present.value_counts(name="how often").iter_rows())
    if hive:
        facts["months"] = sorted(frame.get_column("month").unique().to_list())
    return facts


def check_schema(report, file, schema, labels):
    """Column names and order, Arrow types, and a Japanese label on each field."""
    found = pq.read_schema(file)
    here = f"{file.parent.name}/{file.name}"
    report.expect(found.names == list(schema), f"{here}: columns are {found.names}, not {list(schema)}")
    for field in found:
        want = schema.get(field.name)
        report.expect(want in (None, str(field.type)), f"{here}: {field.name} is {field.type}, not {want}")
        label = (field.metadata or {}).get(b"label_ja", b"").decode()
        wanted = labels.get(field.name)
        report.expect(label, f"{here}: {field.name} has no label_ja")
        report.expect(wanted in (None, label), f"{here}: label of {field.name} is {label}, not {wanted}")


def is_sorted(rows):
    """Whether rows ascend, with not-set cells either all first or all last."""
    for last in (False, True):
        keys = [[((value is None) == last, value if value is not None else 0) for value in row] for row in rows]
        if all(a <= b for a, b in zip(keys, keys[1:])):
            return True
    return False


def check_order(report, table, file, file_order):
    """Whether one file is sorted as the contract says."""
    key = contract.SORTED_BY[table]
    columns = pq.ParquetFile(file).read(columns=sorted(set(key))).to_pydict()
    if table == "findings":
        columns["file_id"] = [file_order.get(i, -1) for i in columns["file_id"]]
        report.expect(-1 not in columns["file_id"], "findings: a file_id that is not in files")
    rows = list(zip(*(columns[name] for name in key)))
    report.expect(is_sorted(rows), f"{table}/{file.name}: not sorted by {', '.join(key)}")


def check_table(report, snapshot, table, file_order):
    """One table in all three programs; gives its summary line."""
    hive = table == "recipient_month"
    pattern = "month=*/*.parquet" if hive else "*.parquet"
    files = sorted((snapshot / table).glob(pattern))
    if not files:
        report.expect(False, f"{table}: no Parquet files")
        return f"{table}: missing"
    schema, labels = contract.schema(table)
    before = len(report.wrong)
    for file in files:
        check_schema(report, file, schema, labels)
    if len(report.wrong) > before:
        return f"{table}: schema differs from the contract"
    for file in files:
        check_order(report, table, file, file_order)
    glob = str(snapshot / table / pattern)
    base = with_pyarrow(files, schema)
    engines = {"DuckDB": with_duckdb(glob, schema, hive), "Polars": with_polars(glob, schema, hive)}
    if hive:
        filled = {f.parent.name.removeprefix("month=") for f in files if pq.read_metadata(f).num_rows}
        base["months"] = sorted(filled)
        for file in files:
            month = file.parent.name.removeprefix("month=")
            values = {days(v)[:7] for v in pq.ParquetFile(file).read(["service_month"])[0].to_pylist()}
            report.expect(values <= {month}, f"{file}: service_month holds {values}")
    for engine, facts in engines.items():
        for what in base.keys() | facts.keys():
            a, b = base.get(what), facts.get(what)
            name = ".".join(what) if isinstance(what, tuple) else what
            report.expect(a == b, f"{table}: {name} is {a} by pyarrow, {b} by {engine}")
    texts = sum(1 for kind in schema.values() if kind == "string")
    return f"{table}: {base['rows']} rows, {len(files)} files, {len(schema)} columns ({texts} text), equal in all three"


def check_holders(report, con):
    """The look-up of holders against the table of memberships."""
    def holder(macro, *asked):
        return con.execute(f"SELECT {macro}(?, ?)", asked).fetchone()[0]

    rows = con.execute("SELECT union_no, member_no, valid_from, valid_to FROM memberships ORDER BY ALL").fetchall()
    starts = {(member_no, first) for _, member_no, first, _ in rows}
    for macro in ("holder_on", '"保有者照会"'):
        for union_no, member_no, first, last in rows:
            for day in (first, last or first):
                found = holder(macro, member_no, day)
                report.expect(found == union_no, f"views.sql: {macro} of {member_no} on {day} is {found}")
            after = last and last + datetime.timedelta(days=1)
            if after and (member_no, after) not in starts:
                found = holder(macro, member_no, after)
                report.expect(found == member_no, f"views.sql: {macro} of {member_no} on {after} is {found}")
        found = holder(macro, "999999", datetime.date(2026, 7, 1))
        report.expect(found == "999999", f"views.sql: {macro} of nobody's member is {found}")


# Rows of people with the union that has their insurer number as member on the movement date (of an end: the
# day before), and with the insurer's record that holds on the month's last day, else the earliest.
PEOPLE_AND_REGISTRY = """
WITH people AS (
  SELECT *, movement_date - CASE movement_type WHEN '3' THEN 1 ELSE 0 END AS day FROM recipient_month
)
SELECT p.service_month, p.insured_no, p.holder_no, p.holder_name,
       coalesce(m.union_no, p.insurer_no) AS found_no, i.insurer_name AS found_name
FROM people p
LEFT JOIN memberships m
  ON m.member_no = p.insurer_no AND m.valid_from <= p.day AND coalesce(m.valid_to, p.day) >= p.day
LEFT JOIN insurers i ON i.insurer_no = p.holder_no
QUALIFY row_number() OVER (
  PARTITION BY p.service_month, p.holder_no, p.insured_no, m.union_no
  ORDER BY coalesce(i.valid_from <= last_day(p.service_month), true) DESC,
           CASE WHEN i.valid_from <= last_day(p.service_month) THEN i.valid_from END DESC NULLS LAST,
           i.valid_from
) = 1
"""


def check_people_and_registry(report, con):
    """Holder and name of every row of people, joined anew from memberships and insurers; how many of a union."""
    rows = con.execute(PEOPLE_AND_REGISTRY).fetchall()
    count = con.execute("SELECT count(*) FROM recipient_month").fetchone()[0]
    report.expect(len(rows) == count, f"{count} rows of people, {len(rows)} joined with memberships and insurers")
    for month, insured_no, holder_no, name, found_no, found_name in rows:
        same = (holder_no, name) == (found_no, found_name)
        report.expect(same, f"{insured_no} in {month}: {holder_no} {name}, by the registry {found_no} {found_name}")
    unions = {union_no for (union_no,) in con.execute("SELECT union_no FROM memberships").fetchall()}
    return sum(1 for row in rows if row[2] in unions)


def check_views(report, snapshot):
    """views.sql runs from inside the snapshot and every view can be selected."""
    os.chdir(snapshot)
    con = duckdb.connect()
    con.execute(Path("views.sql").read_text(encoding="utf-8"))
    views = [name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()]
    report.expect(views, "views.sql makes no view")
    for view in views:
        try:
            con.execute(f'SELECT * FROM "{view}" LIMIT 5').fetchall()
            con.execute(f'SELECT count(*) FROM "{view}"').fetchone()
        except duckdb.Error as error:
            report.expect(False, f"views.sql: {view}: {error}")
    # Look-ups as claims do: every tenth published row must be found by its numbers and month.
    keys = con.execute(
        "SELECT insurer_no, insured_no, service_month FROM recipient_month"
        " ORDER BY ALL"
    ).fetchall()[::10]
    for macro in ("claim_lookup", '"請求照会"'):
        for insurer_no, insured_no, month in keys:
            # Any day of the month will do.
            asked = (insurer_no, insured_no, month.replace(day=17))
            found = con.execute(f"SELECT * FROM {macro}(?, ?, ?)", asked).fetchall()
            report.expect(len(found) == 1, f"views.sql: {macro}{asked} finds {len(found)} rows")
        nobody = con.execute(f"SELECT * FROM {macro}('999999', '9999999999', DATE '2026-07-01')").fetchall()
        report.expect(not nobody, f"views.sql: {macro} finds somebody who is not there")
    # Whose people they are: of a union's member inside and after its time, else the insurer itself.
    check_holders(report, con)
    of_unions = check_people_and_registry(report, con)
    return (
        f"views.sql: {len(views)} views: {', '.join(views)}; {len(keys)} claims looked up both ways;"
        f" {of_unions} rows of people joined with their union"
    )


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_snapshot.py SNAPSHOT")
    snapshot = Path(sys.argv[1]).resolve()
    report = Report()
    order = []
    for file in sorted((snapshot / "files").glob("*.parquet")):
        order += pq.ParquetFile(file).read(["file_id"])[0].to_pylist()
    file_order = {file_id: n for n, file_id in enumerate(order)}
    for table in contract.TABLES:
        print(check_table(report, snapshot, table, file_order))
    print(check_views(report, snapshot))
    for line in report.wrong:
        print(f"WRONG {line}", file=sys.stderr)
    if report.wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
