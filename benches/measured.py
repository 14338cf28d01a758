"""Processes and what they take: seconds, CPU time, memory. Linux only."""

import json
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def ended(process: subprocess.Popen, begun: float) -> dict:
    """Waits for the end: seconds since `begun`, CPU seconds (user and system), bytes written, most bytes resident."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": time.monotonic() - begun,
        "cpu": used.ru_utime + used.ru_stime,
        "written": used.ru_oublock * 512,
        "rss": used.ru_maxrss * 1024,
    }


def run(*command: object, codes: tuple[int, ...] = (0,)) -> tuple[dict, str]:
    """A command to its end: what it took, and what it said."""
    begun = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    took = ended(process, begun)
    if process.returncode not in codes:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}\n{said}")
    return took, said


def median(values: list) -> dict | float:
    """The median; of dicts key by key."""
    if isinstance(values[0], dict):
        return {key: median([value[key] for value in values]) for key in values[0]}
    return statistics.median(values)


class Program:
    """A run of tsumiage with --json; its events as they come, with the time when they came."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.command, self.log, self.begun = command, log, time.monotonic()
        with open(log, "w") as errors:
            self.process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=errors, text=True)
        self.events: list[tuple[float, dict]] = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self.news:
                self.events.append((time.monotonic(), json.loads(line)))
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def of(self, kind: str) -> list[tuple[float, dict]]:
        """Events of a kind, with their times."""
        return [(at, event) for at, event in list(self.events) if event["event"] == kind]

    def last(self, kind: str) -> dict:
        """The last event of a kind."""
        events = self.of(kind)
        if not events:
            raise SystemExit(f"{self.command[1]} did not tell of {kind}:\n{self.log.read_text()}")
        return events[-1][1]

    def wait_for(self, done, seconds: float) -> None:
        """Waits until `done(self)` after some event."""
        until = time.monotonic() + seconds
        with self.news:
            while not done(self):
                if not self.reader.is_alive() or not self.news.wait(max(0.0, until - time.monotonic())):
                    raise SystemExit(f"{self.command[1]} ended or hangs:\n{self.log.read_text()}")

    def end(self, signal: int | None = None) -> dict:
        """Waits for the end; what it took."""
        if signal is not None:
            self.process.send_signal(signal)
        took = ended(self.process, self.begun)
        self.reader.join()
        if self.process.returncode not in (0, 2):
            raise SystemExit(f"{self.command[1]} failed ({self.process.returncode}):\n{self.log.read_text()}")
        return took


def cpu_of(pid: int) -> float:
    """CPU seconds of a running process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_of(pid: int) -> int:
    """Most bytes a running process had resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def busy() -> float:
    """CPU seconds that all processes of the machine took since it was started."""
    user, nice, system, _idle, _wait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / TICK


def machine() -> str:
    """The machine in a few words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1e6
    return f"{len(os.sched_getaffinity(0))} cores ({model}), {memory:.0f} GB of memory"
