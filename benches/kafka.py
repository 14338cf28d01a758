"""How fast files go through Kafka: worker, broker and sink on one partition, all on this machine.

Input is made by `synth`, in two shapes: `large` (2 insurers: files of megabytes) and `small` (40 insurers and a tenth
of the people: thousands of files of kilobytes). What is measured, each with fresh folders and a fresh topic:

  ingest      the same files without Kafka, as a yardstick
  worker      the files into the topic
  sink        the topic into a fresh ledger
  end to end  both at once, until everything is committed; the sink commits as it does by itself

MB are 10^6 bytes; Arrow bytes are those of the batches in memory before they are encoded, as the worker counts them.
CPU time is user and system time of the processes; "others" is what everything else on the machine took meanwhile.
Every figure is the median of the runs.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured import Program, busy, cpu_of, machine, median, peak_of

ROOT = Path(__file__).resolve().parents[1]
BROKER = ROOT / "tests" / "kafka" / "broker.sh"
SHAPES = {"large": (2, 1), "small": (40, 10)}  # insurers, and by what the recipients are divided
ON = "2027-03-31"
PATIENCE = 1800


class Bench:
    """A broker, a folder to work in, and the program."""

    def __init__(self, program: Path, work: Path) -> None:
        self.program, self.work, self.topics = str(program), work, 0
        self.broker = work / "broker"
        subprocess.run([BROKER, "start", self.broker], check=True)
        self.bootstrap = (self.broker / "bootstrap").read_text().strip()
        self.pid = int((self.broker / "pid").read_text())

    def close(self) -> None:
        """Ends the broker."""
        subprocess.run([BROKER, "stop", self.broker], check=False)

    def run(self, *command: object) -> Program:
        """Begins a command of the program."""
        words = [str(word) for word in command]
        return Program([self.program, *words], self.work / f"{words[0]}.log")

    def kafka(self, fresh: bool) -> list[str]:
        """Options that name the topic, a fresh one or that of before."""
        self.topics += fresh
        topic = f"tsumiage.bench.{self.topics}"
        return ["--kafka", self.bootstrap, "--kafka-topic", topic, "--kafka-partitions", "1"]

    def worker(self, inbox: Path, data: Path, kafka: list[str]) -> Program:
        """Begins a worker that sends all files."""
        folders = ["--inbox", inbox, "--archive", data / "archive"]
        return self.run("worker", *folders, *kafka, "--on", ON, "--drain", "--settle", "0")

    def measured(self, work) -> dict:
        """What `work` took; it gives seconds and what each of its programs took."""
        broker, all_busy = cpu_of(self.pid), busy()
        took = work()
        if "ingest" not in took["cpu"]:
            took["cpu"]["broker"] = cpu_of(self.pid) - broker
            took["rss"]["broker"] = peak_of(self.pid)
        took["others"] = (busy() - all_busy - sum(took["cpu"].values())) / took["seconds"]
        return took


def alone(name: str, program: Program) -> dict:
    """What one program took until its end."""
    used = program.end()
    took = {"seconds": used["seconds"], "cpu": {name: used["cpu"]}, "rss": {name: used["rss"]}}
    return {**took, "told": program}


def together(bench: Bench, inbox: Path, data: Path) -> dict:
    """Worker and sink at once; done when everything that was sent is committed."""
    kafka = bench.kafka(fresh=True)
    worker, begun = bench.worker(inbox, data, kafka), time.monotonic()
    sink = bench.run("sink", "--data", data, *kafka)
    by_worker = worker.end()
    files = worker.last("taken_in")["files"]
    sent = files["taken_in"] + files["rejected"]
    sink.wait_for(lambda sink: sum(event["files"] for _, event in sink.of("committed")) >= sent, PATIENCE)
    committed = sink.of("committed")
    by_sink = sink.end(signal.SIGTERM)
    used = {"worker": by_worker, "sink": by_sink}
    took = {what: {name: one[what] for name, one in used.items()} for what in ("cpu", "rss")}
    return {"seconds": committed[-1][0] - begun, "commits": len(committed), "told": sink, **took}


def one_run(bench: Bench, inbox: Path, data: Path) -> tuple[dict, dict]:
    """Every step once; what each took, and what went through."""
    files = ["--inbox", inbox, "--data", data / "a", "--on", ON]
    ingest = bench.measured(lambda: alone("ingest", bench.run("ingest", *files)))
    kafka = bench.kafka(fresh=True)
    worker = bench.measured(lambda: alone("worker", bench.worker(inbox, data / "b", kafka)))
    kafka = bench.kafka(fresh=False)
    sink = bench.measured(lambda: alone("sink", bench.run("sink", "--data", data / "b", *kafka, "--drain")))
    both = bench.measured(lambda: together(bench, inbox, data / "c"))
    steps = {"ingest": ingest, "worker": worker, "sink": sink, "end to end": both}
    summaries = [step.pop("told") for step in steps.values()]
    sums = [told.last("taken_in") for told in summaries]
    for name, came in zip(steps, sums):
        if (came["files"], came["records"]) != (sums[0]["files"], sums[0]["records"]):
            raise SystemExit(f"not everything went through {name}: {came} instead of {sums[0]}")
    sent = {what: count for what, count in summaries[1].last("sent").items() if what != "event"}
    return steps, {**sums[0], "sent": sent}


def printed(shape: str, went: dict, steps: dict, runs: int) -> None:
    """Prints the table of a shape."""
    sent, records = went["sent"], went["records"]["found"]
    exchange, arrow, messages = went["bytes"] / 1e6, sent["arrow_bytes"] / 1e6, sent["message_bytes"] / 1e6
    print(f"\n{shape}: {sum(went['files'].values()):,} files, {records:,} records: {exchange:,.1f} MB of exchange file, "
          f"{arrow:,.1f} MB of Arrow, {messages:,.1f} MB in {sent['messages']:,} messages; median of {runs} runs\n")
    print(f"{'':11}{'':>9}{'exchange':>10}{'Arrow':>8}{'records':>10}{'CPU':>8}{'Arrow MB/':>11}{'others':>8}")
    print(f"{'':11}{'seconds':>9}{'MB/s':>10}{'MB/s':>8}{'per s':>10}{'s':>8}{'CPU s':>11}{'cores':>8}"
          "   share of the CPU time, most memory")
    for name, took in steps.items():
        seconds, cpu = took["seconds"], sum(took["cpu"].values())
        shares = [f"{who} {used / cpu:.0%} {took['rss'][who] / 1e6:,.0f} MB" for who, used in took["cpu"].items()]
        print(f"{name:11}{seconds:9.2f}{exchange / seconds:10.1f}{arrow / seconds:8.1f}{records / seconds:10,.0f}"
              f"{cpu:8.2f}{arrow / cpu:11.1f}{took['others']:8.2f}   {', '.join(shares)}")
    print(f"\nend to end: {steps['end to end']['commits']:.0f} commits; worker's threads: "
          f"{sent['encoding_seconds']:.2f} s encoding, {sent['waiting_seconds']:.2f} s waiting for the broker")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="benches/kafka.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--shape", choices=sorted(SHAPES), action="append", help="only this one")
    parser.add_argument("--recipients", type=int, default=100_000, help="people of `large` (default: 100000)")
    parser.add_argument("--runs", type=int, default=3, help="how often (default: 3)")
    parser.add_argument("--work", type=Path, help="folder to work in (default: that for temporary files)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.work, prefix="tsumiage-bench-") as folder:
        bench = Bench(options.program.resolve(), Path(folder))
        try:
            for shape in options.shape or SHAPES:
                measure(bench, shape, options)
        finally:
            bench.close()


def measure(bench: Bench, shape: str, options: argparse.Namespace) -> None:
    """Measures a shape and prints its table."""
    insurers, divisor = SHAPES[shape]
    inbox, data = bench.work / shape, bench.work / "data"
    people = max(1, options.recipients // divisor)
    make = [bench.program, "synth", "--out", inbox, "--recipients", str(people), "--insurers", str(insurers)]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    together(bench, inbox, data / "warm")  # a broker that runs for months is warm
    shutil.rmtree(data)
    taken = []
    for number in range(options.runs):
        steps, went = one_run(bench, inbox, data)
        taken.append({"steps": steps, "sent": went["sent"]})
        shutil.rmtree(data)
        rates = ", ".join(f"{name} {went['sent']['arrow_bytes'] / 1e6 / took['seconds']:.1f}" for name, took in steps.items())
        print(f"{shape}, run {number + 1}: Arrow MB/s: {rates}", file=sys.stderr, flush=True)
    middle = median(taken)
    printed(shape, {**went, "sent": middle["sent"]}, middle["steps"], options.runs)
    shutil.rmtree(inbox)


if __name__ == "__main__":
    main()
