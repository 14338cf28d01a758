"""Whether a peer's `recipient_month` is that of a snapshot: months, rows, order, and every value of every column.

    python check.py SNAPSHOT PEER

Prints which columns were compared and which not, and why; exits 1 with one line per difference.
"""

import sys
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/interop"))
import contract  # noqa: E402  (the columns as the contract has them)

# What the peers leave out, and why; empty as long as they do everything.
NOT_DONE: dict[str, str] = {}
TYPES = {contract.TEXT: pl.String, contract.DATE: pl.Date, contract.INT32: pl.Int32, contract.INT64: pl.Int64,
         contract.BOOL: pl.Boolean}
ORDER = ["holder_no", "insured_no"]


def months(root: Path) -> dict[str, Path]:
    """Folders of the months."""
    return {path.name: path for path in sorted((root / "recipient_month").glob("month=*"))}


def table(folder: Path) -> pl.DataFrame:
    """A month's rows, files in the order of their names."""
    return pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in sorted(folder.glob("*.parquet"))])


def difference(ours: pl.DataFrame, theirs: pl.DataFrame, column: str) -> str | None:
    """What differs in a column of as many rows, if anything does."""
    wrong = (ours[column].ne_missing(theirs[column])).arg_true()
    if wrong.is_empty():
        return None
    row = ours.row(wrong[0], named=True)
    who = [row[name] for name in ORDER]
    return f"{column}: {len(wrong)} rows, first {who}: {ours[column][wrong[0]]!r}, peer {theirs[column][wrong[0]]!r}"


def compared(month: str, ours: pl.DataFrame, theirs: pl.DataFrame) -> list[str]:
    """Differences of a month."""
    schema = {name: TYPES[kind] for name, kind in contract.schema("recipient_month")[0].items() if name not in NOT_DONE}
    found = {name: kind for name, kind in theirs.schema.items() if name not in NOT_DONE}
    if list(found.items()) != list(schema.items()):
        return [f"{month}: columns or types differ: {set(found.items()) ^ set(schema.items()) or 'their order'}"]
    if ours.height != theirs.height:
        return [f"{month}: {ours.height} rows, peer {theirs.height}"]
    if not theirs.equals(theirs.sort(ORDER)):
        return [f"{month}: peer's rows are not sorted"]
    differences = (difference(ours, theirs, column) for column in schema)
    return [f"{month}: {text}" for text in differences if text]


def main() -> None:
    """Compares and prints."""
    snapshot, peer = map(Path, sys.argv[1:])
    ours, theirs = months(snapshot), months(peer)
    wrong = [] if list(ours) == list(theirs) else [f"months: {list(ours)}, peer {list(theirs)}"]
    rows = 0
    for month in ours.keys() & theirs.keys():
        of_month = table(ours[month])
        rows += of_month.height
        wrong += compared(month, of_month, table(theirs[month]))
    for text in sorted(wrong):
        print(text)
    if wrong or not rows:
        raise SystemExit(f"{peer}: {len(wrong)} differences in {rows} rows")
    done = [name for name in contract.schema("recipient_month")[0] if name not in NOT_DONE]
    left = "".join(f"; not compared: {name} ({why})" for name, why in NOT_DONE.items())
    print(f"{peer.name}: {len(ours)} months, {rows:,} rows, {len(done)} columns, all the same{left}")


if __name__ == "__main__":
    main()
