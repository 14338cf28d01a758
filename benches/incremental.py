"""What a correction costs: resolving after one small file, against resolving everything.

Input is made by `synth`: 2 million movements of 200,000 recipients in 40 insurers, 36 months published. Then one file
with correction slips for 200 recipients of one insurer is taken in, and `resolve` is run by the snapshot before
(incremental) and in the same data folder without any snapshot (full); both must publish the same, byte for byte.
Measured for the insurer of middle size and for the largest.

Bytes written are what the process gave to the disk (getrusage), the ledger and the archive not included.
Every figure is the median of the runs.
"""

import argparse
import csv
import io
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import measured
from measured import machine, median

ROOT = Path(__file__).resolve().parents[1]
LAYOUT = ROOT / "schemas/data/layouts/5321-recipient-correction.csv"
CONTROL = ROOT / "schemas/data/layouts/envelope-control.csv"
ON = "2027-03-31"


def run(program: Path, *words: object) -> dict:
    """A command with --json to its end: what it took, and its events."""
    took, said = measured.run(program, *words, "--json", "--quiet", codes=(0, 2))
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]  # synth tells no events
    return {**took, "events": {event["event"]: event for event in events}}


def query(program: Path, data: Path, sql: str) -> list[list[str]]:
    """Rows of a query."""
    words = [str(program), "query", sql, "--format", "csv", "--data", str(data)]
    out = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
    return list(csv.reader(io.StringIO(out)))[1:]


def slips(program: Path, data: Path, insurer_no: str, people: int, path: Path) -> None:
    """A file that corrects the care level of the newest record of so many recipients."""
    with LAYOUT.open(encoding="utf-8", newline="") as lines:
        names = [row["name"] for row in csv.DictReader(lines)]
    sql = (
        "SELECT insured_no, max(movement_date) FROM recipient_history WHERE movement_type <> '3' AND insurer_no = "
        f"'{insurer_no}' AND to_month IS NULL GROUP BY insured_no ORDER BY insured_no LIMIT {people}"
    )
    rows = query(program, data, sql)
    if len(rows) != people:
        raise SystemExit(f"{insurer_no} has only {len(rows)} recipients to correct")
    month = query(program, data, "SELECT max(processing_month) FROM files")[0][0][:7].replace("-", "")
    control = {"record_type": "1", "record_no": "1", "volume_no": "0", "record_count": str(len(rows)),
               "data_type": "532", "insurer_no": insurer_no, "processing_month": month, "medium": "7"}
    with CONTROL.open(encoding="utf-8", newline="") as lines:
        head = [control.get(row["name"], "") for row in csv.DictReader(lines)]
    text = ",".join(head) + "\r\n"
    for number, (insured_no, date) in enumerate(rows, start=2):
        items = {"record_type": "2", "record_no": str(number), "exchange_id": "5321", "insurer_no": insurer_no,
                 "movement_date": date.replace("-", ""), "correction_date": "20270325", "correction_type": "2",
                 "insured_no": insured_no, "care_level": "25"}
        text += ",".join(items.get(name, "") for name in names) + "\r\n"
    text += f"3,{len(rows) + 2}\r\n"
    path.write_bytes(text.encode("cp932"))


def linked(source: Path, target: Path) -> None:
    """The same data folder again, by hard links."""
    subprocess.run(["cp", "-al", str(source), str(target)], check=True)


def digest(data: Path, snapshot: str) -> str:
    """What a snapshot holds."""
    return json.loads((data / "snapshots" / snapshot / "manifest.json").read_text())["content_digest"]


def one_run(program: Path, base: Path, fix: Path, work: Path) -> tuple[dict, dict]:
    """Incremental and full once, from the same state."""
    data = work / "data"
    linked(base, data)
    taken = run(program, "ingest", fix, "--data", data, "--on", ON)["events"]["taken_in"]
    if taken["records"]["accepted"] != taken["records"]["found"]:
        raise SystemExit(f"not all slips were accepted: {taken}")
    incremental = run(program, "resolve", "--data", data)
    ids = [incremental["events"]["snapshot"]["id"]]
    found = digest(data, ids[0])
    shutil.rmtree(data / "snapshots")
    full = run(program, "resolve", "--data", data)
    if digest(data, full["events"]["snapshot"]["id"]) != found:
        raise SystemExit("incremental and full publish something else")
    shutil.rmtree(data)
    return incremental, full


def figures(took: dict) -> dict:
    """What is told of a run."""
    stats = took["events"]["resolved"]["stats"]
    return {**{key: took[key] for key in ("seconds", "cpu", "written", "rss")},
            "units": stats["units"] - stats["units_standing"], "files": stats["files_written"],
            "bytes": stats["bytes_written"], "facts": stats["facts"], "changes": stats["changes"]}


def printed(name: str, incremental: dict, full: dict, pairs: list[tuple[dict, dict]]) -> None:
    """A table of both."""
    print(f"\n{name}\n\n{'':14}{'seconds':>9}{'CPU s':>8}{'written MB':>12}{'files MB':>10}{'files':>7}{'units':>7}"
          f"{'records':>11}{'changes':>9}{'memory MB':>11}")
    for what, took in (("incremental", incremental), ("full", full)):
        print(f"{what:14}{took['seconds']:9.2f}{took['cpu']:8.2f}{took['written'] / 1e6:12.1f}"
              f"{took['bytes'] / 1e6:10.1f}{took['files']:7.0f}{took['units']:7.0f}{took['facts']:11,.0f}"
              f"{took['changes']:9.0f}{took['rss'] / 1e6:11.0f}")
    share = {key: median([a[key] / b[key] for a, b in pairs]) for key in ("seconds", "written", "bytes")}
    beyond = median([(a["seconds"] - 0.3) / b["seconds"] for a, b in pairs])
    print(f"{'share':14}{share['seconds']:9.1%}{'':8}{share['written']:12.1%}{share['bytes']:10.1%}"
          f"   without 0.3 s: {beyond:.1%}")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="benches/incremental.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--recipients", type=int, default=200_000)
    parser.add_argument("--movements", type=int, default=2_000_000)
    parser.add_argument("--insurers", type=int, default=40)
    parser.add_argument("--people", type=int, default=200, help="recipients that are corrected")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a folder to work in that is kept, and used again")
    asked = parser.parse_args()
    program = asked.program.resolve()
    print(machine())
    with tempfile.TemporaryDirectory(dir=asked.keep) as folder:
        work = Path(folder)
        base = (asked.keep or work) / "base"
        if not base.is_dir():
            inbox = work / "inbox"
            size = ["--recipients", asked.recipients, "--movements", asked.movements, "--insurers", asked.insurers]
            run(program, "synth", "--out", inbox, *size, "--months", 36, "--seed", 1)
            first = run(program, "nightly", "--inbox", inbox, "--data", base, "--on", ON)
            print(f"nightly with everything: {first['seconds']:.1f} s, {first['rss'] / 1e6:.0f} MB of memory")
            shutil.rmtree(inbox)
        sizes = query(program, base, "SELECT insurer_no, count(*) FROM recipient_history GROUP BY 1 ORDER BY 2")
        for name, (insurer_no, records) in (("middle", sizes[len(sizes) // 2]), ("largest", sizes[-1])):
            fix = work / f"{insurer_no}-fix.csv"
            slips(program, base, insurer_no, asked.people, fix)
            pairs = []
            for _ in range(asked.runs):
                incremental, full = one_run(program, base, fix, work)
                pairs.append((figures(incremental), figures(full)))
            title = f"{asked.people} recipients of the {name} of {len(sizes)} insurers ({records} records)"
            printed(f"{title}; median of {asked.runs} runs", median([a for a, _ in pairs]),
                    median([b for _, b in pairs]), pairs)


if __name__ == "__main__":
    main()
