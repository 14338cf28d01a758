"""What changes while the server runs is served, soon: people that are loaded, a token that is taken back, a new token.

python changes.py URL PROGRAM WORKDIR
"""

import subprocess
import sys
import time
from pathlib import Path

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
    report.end()


if __name__ == "__main__":
    main()
