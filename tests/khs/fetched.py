"""What `khs fetch` took in, as the snapshot has it: the table khs, and the recipients' view of it in DuckDB.

python fetched.py SNAPSHOT INSURER [INSURER ...]
"""

import os
import sys
from pathlib import Path

import duckdb

import data
from api import Report

VIEW = """
SELECT insurer_no, insured_no, khs_status, CAST(khs_end_date AS TEXT), CAST(khs_end_cancel_date AS TEXT)
FROM recipient_month_khs ORDER BY ALL
"""


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: fetched.py SNAPSHOT INSURER [INSURER ...]")
    insurers, day = sys.argv[2:], data.date.fromisoformat(data.ON)
    os.chdir(sys.argv[1])
    connection, report = duckdb.connect(), Report("fetched")
    connection.execute(Path("views.sql").read_text(encoding="utf-8"))
    rows = connection.execute("SELECT * REPLACE (CAST(end_date AS TEXT) AS end_date,"
        " CAST(end_cancel_date AS TEXT) AS end_cancel_date) FROM khs ORDER BY member_no, insured_no").fetchall()  # fmt: skip
    numbers = {no for insurer in insurers for no in (insurer, *data.members(insurer, day))}
    people = {p[:2]: tuple(value or None for value in p[2:]) for p in sorted(data.PEOPLE) if p[0] in numbers}
    report.expect(
        [row[:5] for row in rows] == [key + rest for key, rest in people.items()], f"khs has {len(rows)} other rows"
    )
    report.expect({str(row[5]) for row in rows} == {data.ON}, f"known on { ({row[5] for row in rows}) }")
    recipients = connection.execute(VIEW).fetchall()
    count = connection.execute("SELECT count(*) FROM recipient_month").fetchone()[0]
    report.expect(len(recipients) == count > 0, f"{len(recipients)} rows joined, {count} of recipients")
    for insurer_no, insured_no, *found in recipients:
        wanted = people.get((insurer_no, insured_no), (None, None, None))
        report.expect(tuple(found) == wanted, f"{insured_no} of {insurer_no}: {found}, wanted {wanted}")
    joined = sum(1 for row in recipients if row[2] is not None)
    report.expect(joined, "no recipient has a status")
    report.end(f"{len(rows)} people, {joined} of {count} rows of recipients with a status")


if __name__ == "__main__":
    main()
