"""Who may ask for whom: every token, requester's number, number asked for, person and interface, before and in a union's
time.

    python matrix.py BEFORE_URL BEFORE_AUDIT IN_URL IN_AUDIT WORKDIR

Servers on 2026-03-31 and 2026-04-01 with the same signing key, and their audit logs, which nobody else writes to. What
is expected comes from the tables of data.py; a forbidden cell is answered the same whatever exists.
"""

import csv
import io
import itertools
import json
import re
import sys
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import data
from api import FAILURE, INSURED, INSURER, SUCCESS, Api, Report, check

DAYS = [date(2026, 3, 31), date(2026, 4, 1)]
NUMBERS = [data.UNION, "142018", "143014", "143219", data.OUTSIDER, data.CITY, "271021", data.NOBODY, data.UNKNOWN]
NOT_THERE = "7777777777"
# Headers that differ from answer to answer.
OWN = {"date", "content-length", "connection"}


def person_of(insurer):
    """Somebody of an insurer whom no other has; nobody's number if it has none."""
    own = [person[1] for person in data.FEW if person[0] == insurer and person[1] != "0000000010"]
    return own[0] if own else "2720000000" if insurer == data.OUTSIDER else NOT_THERE


def persons(owner):
    """Everybody, then one: its own, of a sister member, of the outsider, of the union, a number several have, nobody's."""
    sister = "143014" if owner == "142018" else "142018"
    return [None, *dict.fromkeys([*map(person_of, (owner, sister, data.OUTSIDER, data.UNION)), "0000000010", NOT_THERE])]


class Matrix:
    """The cells of one day."""

    def __init__(self, report, url, day, tokens):
        self.report, self.day, self.allowed, self.forbidden = report, day, 0, 0
        self.lines = []  # of the audit log: requester, interface, insurer, person, result, status, records
        self.apis = {owner: Api(url, tokens[owner], owner) for owner in data.OWNERS}
        self.refusals = {}  # by interface: what refusals looked like, with the first cell of each

    def cells(self):
        """All cells."""
        for owner in data.OWNERS:
            asked_persons = [("json", person) for person in persons(owner)] + [("file", None)]
            yield from itertools.product([owner], NUMBERS, NUMBERS, asked_persons)

    def run(self):
        for owner, header, asked, (interface, person) in self.cells():
            where = f"{self.day}: token of {owner}, header {header}, {interface} of {asked}, person {person}"
            answer = self.apis[owner].ask(interface, asked, person, **{INSURER: header})
            allowed = header == owner and data.may(owner, asked, self.day)
            records = len(data.people(asked, self.day, person)) if allowed else 0
            result = SUCCESS if allowed else FAILURE
            self.lines.append([header, interface, asked, person is not None, result, 200, records])
            if allowed:
                self.allowed += 1
                self.answered(where, interface, owner, asked, person, answer)
            else:
                self.forbidden += 1
                self.refused(where, interface, asked, person, answer)
        for interface, looks in self.refusals.items():
            self.report.expect(len(looks) == 1, f"{interface}: refusals differ: {looks}")
        details = {json.loads(look).get("result_detail") for looks in self.refusals.values() for look in looks}
        self.report.expect(len(details) == 1, f"several details: {details}")

    def answered(self, where, interface, owner, asked, person, answer):
        """An allowed cell: these people and nobody else."""
        found = check(self.report, where, interface, answer, 200, SUCCESS)
        wanted = data.people(asked, self.day, person)
        echoed = (found.get(INSURER), found.get(INSURED))
        self.report.expect(echoed == (asked, person), f"{where}: numbers {echoed}")
        if interface == "json":
            self.report.expect(
                found.get("body") == wanted, f"{where}: {len(found.get('body', []))} records, wanted {len(wanted)}"
            )
            return
        file = self.apis[owner].get(found["presigned_url"])
        self.lines.append([owner, "download", asked, False, SUCCESS, 200, len(wanted)])
        rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8"), newline="")))
        rows = [{name: value for name, value in row.items() if value} for row in rows]
        self.report.expect(
            (file.status_code, rows) == (200, wanted), f"{where}: file of {len(rows)} rows, wanted {len(wanted)}"
        )

    def refused(self, where, interface, asked, person, answer):
        """A forbidden cell: nothing tells it from any other, but for the numbers asked for."""
        found = check(self.report, where, interface, answer, 200, FAILURE)
        echoed = (found.pop(INSURER, None), found.pop(INSURED, None))
        self.report.expect(echoed == (asked, person), f"{where}: numbers {echoed}")
        headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in OWN}
        look = json.dumps({**found, "status": answer.status_code, "headers": headers}, ensure_ascii=False)
        self.refusals.setdefault(interface, {}).setdefault(look, where)


def other_day(report, before, within):
    """An address made in a union's time is worth nothing outside it, though nobody changed it."""
    for member, status in ((data.UNION, 200), ("142018", 403), ("143219", 403)):
        url = within.apis[data.UNION].ask("file", member).json()["presigned_url"]
        within.lines.append([data.UNION, "file", member, False, SUCCESS, 200, len(data.people(member, within.day))])
        parts = urlsplit(before.apis[data.UNION].url)
        url = urlsplit(url)._replace(netloc=parts.netloc).geturl()
        found = before.apis[data.UNION].get(url).status_code
        result, records = (SUCCESS, len(data.people(member, before.day))) if status == 200 else (FAILURE, 0)
        before.lines.append([data.UNION, "download", member, False, result, status, records])
        report.expect(found == status, f"union's address of {member} before its time: {found}")


LINE = ["time", "token", "requester", "interface", "insurer", "person", "result", "status", "records", "peer"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def check_audit(report, path, matrix):
    """A line for every request, in order, with who asked for what."""
    text = Path(path).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    report.expect(text.endswith("\n"), f"{path}: the last line has no end")
    report.expect(len(lines) == len(matrix.lines), f"{path}: {len(lines)} lines for {len(matrix.lines)} requests")
    for line, wanted in zip(lines, matrix.lines):
        found = [line.get(name) for name in LINE[2:-1]]
        report.expect(list(line) == LINE and found == wanted, f"{path}: {line}, wanted {wanted}")
        report.expect(isinstance(line.get("token"), str), f"{path}: token of {line}")
        report.expect(TIME.fullmatch(line.get("time", "")) and line.get("peer") == "127.0.0.1", f"{path}: {line}")


def main():
    if len(sys.argv) != 6:
        sys.exit("usage: matrix.py BEFORE_URL BEFORE_AUDIT IN_URL IN_AUDIT WORKDIR")
    urls, audits, work = (sys.argv[1], sys.argv[3]), (sys.argv[2], sys.argv[4]), sys.argv[5]
    report, tokens = Report("matrix"), data.tokens_of(work)
    matrices = [Matrix(report, url, day, tokens) for url, day in zip(urls, DAYS)]
    for matrix in matrices:
        matrix.run()
    other_day(report, *matrices)
    for matrix, audit in zip(matrices, audits):
        check_audit(report, audit, matrix)
    cells = [(matrix.allowed, matrix.forbidden) for matrix in matrices]
    said = ", ".join(f"{good + bad} cells on {day} ({good} allowed)" for (good, bad), day in zip(cells, DAYS))
    report.end(said)


if __name__ == "__main__":
    main()
