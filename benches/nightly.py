"""A whole `nightly`, from an inbox into a new data folder: seconds, CPU time, most memory, and where the time went.

Input is made by `synth`. Every figure is the median of the runs.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from measured import machine, median, run

ON = "2027-03-31"


def one(program: Path, inbox: Path, data: Path) -> dict:
    """One night into a folder of its own."""
    took, out = run(program, "nightly", "--inbox", inbox, "--data", data, "--on", ON, "--json", "--quiet",
                    codes=(0, 2))
    events = {event["event"]: event for event in map(json.loads, filter(None, out.splitlines()))}
    stats = events["resolved"]["stats"]
    return {**took, "taking in": events["taken_in"]["seconds"], "resolving": stats["wall_seconds"],
            "rows": stats["month_rows"], "bytes": stats["bytes_written"]}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="benches/nightly.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--movements", type=int, default=1_000_000)
    parser.add_argument("--insurers", type=int, default=40)
    parser.add_argument("--full-share", type=float, default=0.0, help="share of insurers that send full records")
    parser.add_argument("--clean", action="store_true", help="no corrections, nothing late, no duplicates")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder to work in (default: that for temporary files)")
    asked = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}", flush=True)
    with tempfile.TemporaryDirectory(dir=asked.work, prefix="tsumiage-bench-") as folder:
        work = Path(folder)
        size = ["--recipients", asked.recipients, "--movements", asked.movements, "--insurers", asked.insurers]
        clean = ["--clean"] if asked.clean else []
        _, told = run(asked.program.resolve(), "synth", "--out", work / "inbox", *size, "--months", 36, "--seed", 1,
                      "--full-share", asked.full_share, *clean)
        print(f"input: {told.strip()}")
        took = median([one(asked.program.resolve(), work / "inbox", work / str(at)) for at in range(asked.runs)])
    print(f"median of {asked.runs}: {took['seconds']:.2f} s ({took['taking in']:.2f} s taking in, "
          f"{took['resolving']:.2f} s resolving), {took['cpu']:.2f} CPU s, {took['rss'] / 2**20:,.0f} MiB of memory; "
          f"{took['rows']:,.0f} rows of recipient_month, {took['bytes'] / 1e6:,.0f} MB published")


if __name__ == "__main__":
    main()
