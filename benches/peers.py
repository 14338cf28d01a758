"""What a competent user would write himself, with DuckDB and with Polars, against tsumiage.

Input is made by `synth`: movements of insurers that all send what changed only, without corrections, duplicates or late
files, so that the peers need no rules for these. Each makes `recipient_month` of the same months from it, all columns,
in files of ZSTD Parquet; that they are the same is checked once (`peers/check.py`).

The peers read the files in UTF-8, converted before and not measured, and do nothing else. tsumiage reads them as they
are, checks every item, keeps them in its archive and ledger, and publishes history, findings and digests besides.

They run in turn, each with a fresh folder. Every figure is the median of the runs; `output` is `recipient_month` alone.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from measured import machine, median, run

PEERS = Path(__file__).resolve().parent / "peers"
ON = "2027-03-31"
FIRST = 2023 * 12 + 9  # the first month that synth fills


def span(months: int) -> str:
    """So many months from the first."""
    return "..".join(f"{month // 12}-{month % 12 + 1:02}" for month in (FIRST, FIRST + months - 1))


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def tsumiage(program: Path, inbox: Path, months: str, out: Path) -> tuple[dict, Path]:
    """`nightly` into a fresh data folder: what it took, and its snapshot."""
    took, said = run(program, "nightly", "--inbox", inbox, "--data", out, "--on", ON, "--months", months, "--quiet")
    return took, Path(said.splitlines()[-1].split(maxsplit=2)[2])


def peer(name: str, converted: Path, months: str, out: Path) -> tuple[dict, Path]:
    """A peer's job into a fresh folder: what it took, and the folder."""
    took, _ = run(sys.executable, PEERS / f"{name}_job.py", converted, out, "--months", months)
    return took, out


def measure(program: Path, options: argparse.Namespace, work: Path) -> None:
    """Makes the input, runs all in turn, checks, prints."""
    inbox, converted, months = work / "inbox", work / "converted", span(options.months)
    made = ["--recipients", options.recipients, "--movements", options.movements, "--insurers", options.insurers]
    _, told = run(program, "synth", "--out", inbox, *made, "--months", options.months, "--seed", options.seed,
                  "--clean", "--full-share", options.full_share)
    run(sys.executable, PEERS / "convert.py", inbox, converted)
    jobs = {
        "tsumiage": lambda out: tsumiage(program, inbox, months, out),
        "DuckDB": lambda out: peer("duckdb", converted, months, out),
        "Polars": lambda out: peer("polars", converted, months, out),
    }
    taken: dict[str, list[dict]] = {name: [] for name in jobs}
    checked = ""
    for number in range(options.runs):
        roots = {}
        for name, job in jobs.items():
            took, roots[name] = job(work / name)
            taken[name].append({**took, "output": size(roots[name] / "recipient_month")})
            print(f"run {number + 1}: {name} {took['seconds']:.2f} s", file=sys.stderr, flush=True)
        if number == 0:
            for name in list(jobs)[1:]:
                checked += run(sys.executable, PEERS / "check.py", roots["tsumiage"], roots[name])[1]
        for name in jobs:
            shutil.rmtree(work / name)
    print(f"\ninput: {told.strip()}; {options.recipients:,} recipients, {options.insurers} insurers, "
          f"{options.full_share:.0%} of them send full records; months {months}\n{checked}")
    printed({name: median(runs) for name, runs in taken.items()}, options.runs)


def printed(taken: dict[str, dict], runs: int) -> None:
    """A table of all."""
    ours = taken["tsumiage"]
    print(f"median of {runs} runs\n\n{'':10}{'seconds':>9}{'ratio':>7}{'CPU s':>8}{'ratio':>7}{'memory MB':>11}"
          f"{'ratio':>7}{'output MB':>11}{'ratio':>7}")
    for name, took in taken.items():
        cells = (("seconds", 1, "9.2f"), ("cpu", 1, "8.2f"), ("rss", 1e6, "11,.0f"), ("output", 1e6, "11.1f"))
        figures = "".join(f"{took[key] / unit:{form}}{took[key] / ours[key]:7.2f}" for key, unit, form in cells)
        print(f"{name:10}{figures}")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="benches/peers.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--movements", type=int, default=1_000_000)
    parser.add_argument("--insurers", type=int, default=40)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full-share", type=float, default=0.0, help="share of insurers that send full records")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder to work in (default: that for temporary files)")
    options = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.work, prefix="tsumiage-bench-") as folder:
        measure(options.program.resolve(), options, Path(folder))


if __name__ == "__main__":
    main()
