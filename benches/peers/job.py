"""What both peers need: the command line, the items of layout 5311, the months, the limits of care levels.

INPUT holds what `convert.py` made: `5311/*.csv`, movement files in UTF-8, and `files.csv`, their names and ids.
The tables come as plain Python values, so that each peer takes them in as its users would.
"""

import argparse
import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "schemas/data"
KEYS = ["insurer_no", "insured_no"]
OWN = ["movement_date", "movement_type", "movement_reason"]  # never inherited
DERIVED = ["last_correction_date", "movements_in_month", "ended_in_month", "first_day_insurer_no",
           "heaviest_care_level", "limit_units", "limit_source", "certification_covers_month",
           "covering_movement_date"]


@dataclass
class Item:
    """An item of the layout. `clear`: characters a run of which is a clear mark."""

    name: str
    kind: str
    clear: str

    @property
    def is_date(self) -> bool:
        return self.kind in ("date", "month")


@dataclass
class Month:
    """A service month; `number` counts months."""

    first_day: date
    last_day: date

    @property
    def number(self) -> int:
        return self.first_day.year * 12 + self.first_day.month - 1

    def __str__(self) -> str:
        return f"{self.first_day:%Y-%m}"


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a header line."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def items() -> list[Item]:
    """All items of a movement, in their columns."""
    layout = rows(DATA / "layouts/5311-recipient-movement.csv")
    return [Item(row["name"], row["kind"], row["clear"].replace("|", "")) for row in layout]


def inherited(all_items: list[Item]) -> list[Item]:
    """Those that a blank takes over."""
    first = [item.name for item in all_items].index("movement_date")
    return [item for item in all_items[first:] if item.name not in KEYS + OWN]


def columns(all_items: list[Item]) -> list[str]:
    """Columns of `recipient_month` by the contract."""
    first = [item.name for item in all_items].index("movement_date")
    carried = [item.name for item in all_items[first:] if item.name != "insured_no"]
    return ["service_month", "holder_no", "holder_name", "insured_no", *carried, "file_id", "record_no", *DERIVED]


def months(span: str) -> list[Month]:
    """The months of A..B, inclusive."""
    first, last = (date.fromisoformat(f"{end}-01") for end in span.split(".."))
    found = []
    while first <= last:
        after = (first + timedelta(days=31)).replace(day=1)
        found.append(Month(first, after - timedelta(days=1)))
        first = after
    return found


def limits(of: list[Month]) -> list[tuple[str, date, int, int]]:
    """(care level, first day of the month, weight, units) of every row of the table that is valid in a month."""
    table = rows(DATA / "codes/care_level_limits.csv")
    return [
        (row["care_level"], month.first_day, int(row["weight"]), int(row["limit_units"]))
        for month in of
        for row in table
        if row["valid_from"] <= str(month) and (not row["valid_to"] or str(month) <= row["valid_to"])
    ]


@dataclass
class Job:
    """What is asked for."""

    movements: Path
    file_ids: list[tuple[str, str]]
    out: Path
    months: list[Month]

    def folder(self, month: Month) -> Path:
        """Where a month's file goes, made."""
        folder = self.out / f"recipient_month/month={month}"
        folder.mkdir(parents=True)
        return folder


def asked(about: str) -> Job:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--months", required=True, metavar="A..B")
    words = parser.parse_args()
    names = [(row["name"], row["file_id"]) for row in rows(words.input / "files.csv")]
    return Job(words.input / "5311", names, words.out, months(words.months))
