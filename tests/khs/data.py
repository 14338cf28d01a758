"""Makes what the tests ask for: a union and its members from the samples, a city with wards, an outsider, people, tokens.

    python data.py PROGRAM WORKDIR

WORKDIR/data: snapshot and people; unloaded: the same without people; limited: the same with a low rate limit, download
addresses that last a second, and two seconds for a request to come. tokens: the table of tokens, tokens.json: the
tokens; signing.key.
"""

import csv
import json
import secrets
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

from api import PERSON

SAMPLES = Path(__file__).resolve().parents[2] / "samples/union/inbox"
ON = "2026-05-01"

UNION, CITY, OUTSIDER = "141003", "271004", "272010"
NOBODY = "131016"  # has a token, and nobody has data for it
UNKNOWN = "999999"  # has neither
# (union or city, its members, first day), as samples/README.md has the union.
UNIONS = [
    (UNION, ["142018", "143014", "143219", "142034"], date(2026, 4, 1)),
    (CITY, ["271021", "271039"], date(2020, 4, 1)),
]
OWNERS = [UNION, "142018", "143014", OUTSIDER, CITY, "271021", NOBODY]

# (number on the card, insured number, status, end, end cancelled). 0000000010 is a person of three insurers; 143219
# is a member without people; 1400000010 … are recipients of the samples.
FEW = [
    (UNION, "9000000001", "1", "", ""),
    ("142018", "0000000010", "1", "", ""),
    ("142018", "1400000010", "2", "2026-03-31", ""),
    ("142018", "1400000011", "3", "2026-01-31", "2026-02-28"),
    ("143014", "0000000010", "2", "2025-12-31", ""),
    ("143014", "1400000020", "1", "", "2024-02-29"),
    ("142034", "1400000040", "0", "", ""),
    ("271021", "2710000001", "1", "", ""),
    ("271039", "2710000002", "9", "2026-04-30", ""),
    (OUTSIDER, "0000000010", "8", "", ""),
]


def crowd():
    """Some thousand people of the outsider, with records of different lengths: answers and files of many pieces."""
    for n in range(5_000):
        end = f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}" if n % 3 else ""
        cancel = f"2027-{n % 12 + 1:02}-{n % 28 + 1:02}" if n % 7 == 1 else ""
        yield OUTSIDER, f"{2_720_000_000 + 3 * n}", str(n % 10), end, cancel


PEOPLE = FEW + list(crowd())


def members(insurer, day):
    """The members an insurer has on a day."""
    return [no for union, of, first in UNIONS if union == insurer and day >= first for no in of]


def may(requester, asked, day):
    """Whether a requester may ask for an insurer on a day."""
    return asked == requester or asked in members(requester, day)


def people(asked, day, insured=None):
    """The records of an insurer, or one person's, on a day, as the JSON interface gives them."""
    numbers = {asked, *members(asked, day)}
    found = sorted(p for p in PEOPLE if p[0] in numbers and insured in (None, p[1]))
    names = list(PERSON)
    return [{n: v for n, v in zip(names, person) if v} for person in found]


def write_people(path, rows):
    """A file of people as `khs load` takes it."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([list(PERSON), *rows])


def run(program, *words, codes=(0,)):
    """Runs the program to its end; what it says on standard output."""
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=120)
    said = f"{' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.returncode in codes, said
    return done.stdout


def write_inbox(inbox):
    """The samples' files and two of a city with wards, made of the union's own."""
    shutil.copytree(SAMPLES, inbox)
    of_union = {kind: (inbox / f"{UNION}-202604-{kind}.csv").read_bytes() for kind in ("5411", "5711")}
    city = of_union["5411"].replace(b',"3","20260401",""', b',"2","20200401",""')
    line = b'"2","2","5711","20200401","1","01","%s"' % UNION.encode()
    line += b"".join(b',"%s","20200401"' % ward.encode() for ward in UNIONS[1][1])
    control, _, end = of_union["5711"].split(b"\r\n")[:3]
    for kind, text in (("5411", city), ("5711", b"\r\n".join([control, line, end, b""]))):
        text = text.replace(UNION.encode(), CITY.encode())
        (inbox / f"{CITY}-202604-{kind}.csv").write_bytes(text)


def make_tokens(program, table):
    """A token of every owner, and two more of the outsider's: one that ran out, one to be taken back."""

    def new(insurer, *more):
        token = run(program, "khs", "token", "new", "--tokens", table, "--insurer", insurer, *more)
        assert len(token.split()) == 1 and len(token) >= 32, f"token new prints {len(token.split())} words"
        return token.strip()

    tokens = {owner: new(owner) for owner in OWNERS}
    tokens["expired"] = new(OUTSIDER, "--valid-to", "2099-12-31")
    # No token is made that has run out.
    text = table.read_text(encoding="utf-8")
    assert text.count("2099-12-31") == 1, "the table does not say until when a token is good"
    table.write_text(text.replace("2099-12-31", "2020-01-01"), encoding="utf-8")
    tokens["revoked"] = new(OUTSIDER)
    return tokens


def check_token_table(program, table, tokens):
    """No token is on disk; whoever else has an account on the machine cannot read the table."""
    kept = table.read_text(encoding="utf-8") + run(program, "khs", "token", "list", "--tokens", table)
    assert not any(token in kept for token in tokens.values()), "the table of tokens has a token in it"
    assert table.stat().st_mode & 0o007 == 0, f"others can read the table of tokens: {table.stat().st_mode:o}"
    run(program, "khs", "token", "new", "--tokens", table, "--insurer", "14201", codes=(1, 64))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: data.py PROGRAM WORKDIR")
    program, work = sys.argv[1], Path(sys.argv[2])
    data, table = work / "data", work / "tokens"
    write_inbox(work / "inbox")
    # 2: done; the samples' towns send people that are refused.
    run(program, "nightly", "--inbox", work / "inbox", "--data", data, "--on", ON, codes=(0, 2))
    shutil.copytree(data, work / "unloaded", symlinks=True)
    write_people(work / "people.csv", PEOPLE)
    run(program, "khs", "load", work / "people.csv", "--data", data, "--on", ON)
    shutil.copytree(data, work / "limited", symlinks=True)
    with open(work / "limited/settings.toml", "a", encoding="utf-8") as file:
        file.write("\n[khs]\nrequests_per_second = 1\nrequests_at_once = 2\nurl_seconds = 1\nrequest_seconds = 2\n")
    tokens = make_tokens(program, table)
    check_token_table(program, table, tokens)
    (work / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
    (work / "signing.key").write_text(secrets.token_hex(32), encoding="ascii")


def tokens_of(work):
    """The tokens that were made."""
    return json.loads((Path(work) / "tokens.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
