"""What changes while the server runs is served, soon: people that are loaded, a token that is taken back, a new token.
What is half there is not; nobody fills the audit log.

python changes.py URL PROGRAM WORKDIR
"""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import data
from api import FAILURE, PATHS, SUCCESS, Api, Report, check

SECONDS = 10  # a loaded machine; it looks every second
WHO = "1400000020"


def until(report, what, holds):
    """Waits until something holds."""
    end = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > end:
            report.expect(False, f"{what}: not after {SECONDS} s")
            return
        time.sleep(0.1)


def statuses(api, insurer, insured):
    """The statuses of a person, as far as the server tells them."""
    return [person["care_insurance_status"] for person in api.ask("json", insurer, insured).json()["body"]]


def people(report, program, work, url, tokens):
    """A newer status, somebody more, and a file that changes while it is downloaded."""
    member, union = (Api(url, tokens[no], no) for no in ("143014", data.UNION))
    signed = member.ask("file", "143014").json()["presigned_url"]
    before = member.get(signed)
    for day, status in (("2026-05-02", "7"), ("2026-05-03", "1")):
        more = work / "more.csv"
        data.write_people(more, [("143014", WHO, status, "", ""), ("143219", "1400000030", status, "2026-05-01", "")])
        data.run(program, "khs", "load", more, "--data", work / "data", "--on", day)
        until(report, f"status {status}", lambda status=status: statuses(member, "143014", WHO) == [status])
        found = {no: statuses(union, data.UNION, no) for no in (WHO, "1400000030", "0000000010")}
        report.expect(
            found == {WHO: [status], "1400000030": [status], "0000000010": ["1", "2"]}, f"by the union: {found}"
        )
    after = member.get(signed, headers={"Range": "bytes=5-", "If-Range": before.headers["ETag"]})
    report.expect(after.status_code == 200, f"part of a file that changed: {after.status_code}")
    report.expect(
        after.headers["ETag"] != before.headers["ETag"] and after.content != before.content, "the file did not change"
    )


def tokens_of(report, program, work, url, known):
    """A token is made and works, is taken back and works no more."""
    table = work / "tokens"
    kept = Api(url, known[data.OUTSIDER], data.OUTSIDER)
    listed = data.run(program, "khs", "token", "list", "--tokens", table)
    token = data.run(program, "khs", "token", "new", "--tokens", table, "--insurer", data.OUTSIDER).strip()
    api = Api(url, token, data.OUTSIDER)
    until(report, "a new token", lambda: api.ask("json", data.OUTSIDER).status_code == 200)
    new = set(data.run(program, "khs", "token", "list", "--tokens", table).split()) - set(listed.split())
    ids = [word for word in new if revoked(program, table, word)]
    report.expect(len(ids) == 1, f"list shows no id of the new token: {sorted(new)}")
    until(report, "a token taken back", lambda: api.ask("json", data.OUTSIDER).status_code == 401)
    check(report, "taken back", "json", api.ask("json", data.OUTSIDER, data.FEW[0][1]), 401, FAILURE)
    check(report, "another token", "json", kept.ask("json", data.OUTSIDER, data.FEW[-1][1]), 200, SUCCESS)


def revoked(program, table, word):
    """Whether a word was the id of a token, which now is none."""
    words = [program, "khs", "token", "revoke", "--tokens", str(table), "--", word]
    return subprocess.run(words, capture_output=True, timeout=60).returncode == 0


def broken_table(report, work, url, known):
    """A table that cannot be read leaves the tokens that were good before."""
    table = work / "tokens"
    whole = table.read_bytes()
    api = Api(url, known[data.OUTSIDER], data.OUTSIDER)
    table.write_bytes(b"[[[ no table\n" + whole)
    until(report, "health with a broken table", lambda: api.get(url + "/health").status_code == 503)
    check(report, "broken table", "json", api.ask("json", data.OUTSIDER, WHO), 200, SUCCESS)
    table.write_bytes(whole)
    until(report, "health again", lambda: api.get(url + "/health").status_code == 200)


def ledger_on_its_way(report, work, url, known):
    """Where a rebuild puts its ledger in place of the old one there is none for a moment: nobody is told that nobody is there."""
    api, ledger = Api(url, known[data.OUTSIDER], data.OUTSIDER), work / "data/ledger"
    before = api.ask("json", data.OUTSIDER).content
    ledger.rename(work / "data/old")
    until(report, "health without a ledger", lambda: api.get(url + "/health").status_code == 503)
    report.expect(api.ask("json", data.OUTSIDER).content == before, "other people while there is no ledger")
    (work / "data/old").rename(ledger)
    until(report, "health with a ledger", lambda: api.get(url + "/health").status_code == 200)
    report.expect(api.ask("json", data.OUTSIDER).content == before, "other people with the same ledger")


def emptied_table(report, work, url, known):
    """A table that somebody emptied takes nobody their tokens."""
    table, api = work / "tokens", Api(url, known[data.OUTSIDER], data.OUTSIDER)
    whole = table.read_bytes()
    table.write_bytes(b"")
    until(report, "health with an empty table", lambda: api.get(url + "/health").status_code == 503)
    check(report, "empty table", "json", api.ask("json", data.OUTSIDER, WHO), 200, SUCCESS)
    table.write_bytes(whole)
    until(report, "health with a table", lambda: api.get(url + "/health").status_code == 200)


def strangers(report, work, url):
    """Strangers are refused as fast as they ask, but their lines are not more than some a second."""
    log, host, end = work / "data/khs/audit.ndjson", urlsplit(url), time.monotonic() + SECONDS

    def counted():
        """Lines of requests for what is not there, and how many more are said to have been."""
        text = log.read_text(encoding="utf-8")
        return text.count('"status":404'), sum(map(int, re.findall('"unlogged":([0-9]+)', text)))

    before, asked = sum(counted()), 0
    requests = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    with socket.create_connection((host.hostname, host.port)) as connection:
        while counted()[1] == 0 and time.monotonic() < end:
            connection.sendall(requests)
            answers, asked = b"", asked + 500
            while answers.count(b"HTTP/1.1 404") < 500:
                answers += connection.recv(1 << 20)
    until(report, "a count of strangers", lambda: sum(counted()) - before == asked)
    report.expect(counted()[1] > 0, f"{asked} requests of strangers were all written down")


def unaudited(report, url, known):
    """Nobody gets an answer that is not written down, and the operator sees why."""
    api = Api(url, known[data.OUTSIDER], data.OUTSIDER)
    for interface in PATHS:
        check(report, f"{interface} without audit log", interface, api.ask(interface, data.OUTSIDER), 503)
        answer = api.ask(interface, data.OUTSIDER, Authorization="x")
        check(report, f"{interface} without audit log and token", interface, answer, 503)
    answer = api.get(f"{url}{PATHS['file']}/{data.OUTSIDER}?by={data.OUTSIDER}&until=1&sig=x")
    report.expect(answer.status_code == 503, f"download without audit log: {answer.status_code}")
    answer = api.get(url + "/health")
    report.expect(answer.status_code == 503 and "audit" in answer.text, f"health without audit log: {answer.text}")


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: changes.py URL FULL_URL PROGRAM WORKDIR")
    url, full, program, work = *sys.argv[1:4], Path(sys.argv[4])
    report, known = Report("changes"), data.tokens_of(work)
    unaudited(report, full, known)
    people(report, program, work, url, known)
    tokens_of(report, program, work, url, known)
    broken_table(report, work, url, known)
    emptied_table(report, work, url, known)
    ledger_on_its_way(report, work, url, known)
    strangers(report, work, url)
    report.end()


if __name__ == "__main__":
    main()
