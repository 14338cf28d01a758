"""Contract tests from the tables of the interface: every field and header of both requests, and what answers look like.

    python contract.py URL LIMITED_URL WORKDIR

LIMITED_URL: a server that answers one request a second and two at once.
"""

import itertools
import sys
import time

import data
from api import FAILURE, INSURED, INSURER, PATHS, SUCCESS, Api, Report, check, message, parsed

PERSON = "0000000010"
GOOD = {INSURER: data.OUTSIDER, INSURED: PERSON}
MEDIA = 'application/json;charset="utf-8"'


def wrong_values(field):
    """Values that a field of digits may not have, with a name."""
    good = "0" * field.length
    yield from {
        "null": None,
        "empty": "",
        "too short": good[1:],
        "too long": good + "0",
        "far too long": "0" * 5_000,
        "a number": int("1" * field.length),
        "a fraction": 1.5,
        "a list": [good],
        "an object": {"value": good},
        "true": True,
        "full-width digits": "０" * field.length,
        "Arabic digits": "٠" * field.length,
        "a letter": good[1:] + "A",
        "a sign": "-" + good[1:],
        "a space before": " " + good[1:],
        "a space more": good + " ",
        "a line end": good[1:] + "\n",
        "NUL": good[1:] + "\0",
        "an escape": "\x1b[31m"[: field.length].ljust(field.length, "0"),
        "a delete": good[1:] + "\x7f",
        "C1": good[1:] + "\x85",
        "a direction mark": good[1:] + "\u202e",
    }.items()


def request_fields(report, api):
    """Every field of both request bodies: missing, and with every wrong value."""
    for interface in PATHS:
        fields = message(f"{interface}-request")
        good = {name: GOOD[name] for name in fields}
        check(report, f"{interface} good", interface, api.post(interface, good), 200, SUCCESS)
        for field in fields.values():
            without = {name: value for name, value in good.items() if name != field.name}
            status, result = (400, FAILURE) if field.required else (200, SUCCESS)
            where = f"{interface} without {field.name}"
            named(report, where, field, check(report, where, interface, api.post(interface, without), status, result))
            for name, value in wrong_values(field):
                body = {**good, field.name: value}
                where = f"{interface} {field.name} {name}"
                answer = check(report, where, interface, api.post(interface, body), 400)
                named(report, where, field, answer)
                number = "000000" if field.name == INSURER else data.OUTSIDER
                report.expect(answer.get(INSURER) == number, f"{where}: number {answer.get(INSURER)}, not {number}")


def named(report, where, field, answer):
    """A detail says which field it is about."""
    detail = answer.get("result_detail")
    holds = detail is None or field.name in detail or field.name_ja in detail
    report.expect(holds, f"{where}: {detail} does not name the field")


def headers(report, api):
    """The header with the requester's number, and the kinds of content."""
    kinds_good = ["application/json", "application/json; charset=utf-8", "Application/JSON", MEDIA]
    kinds_bad = [None, "", "text/plain", "application/jsonx", "application/json-patch+json", "json",
                 "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "*/*"]  # fmt: skip
    numbers = [None, "", "27201", "2720100", "27201A", "272 10", b"\xef\xbc\x92" * 6, "２".encode(), "0" * 4_000]
    for interface in PATHS:
        for kind in kinds_good:
            answer = api.ask(interface, data.OUTSIDER, Content_Type=kind)
            check(report, f"{interface} Content-Type {kind}", interface, answer, 200, SUCCESS)
        for kind in kinds_bad:
            answer = api.ask(interface, data.OUTSIDER, Content_Type=kind)
            check(report, f"{interface} Content-Type {kind}", interface, answer, 400)
        for number in numbers:
            answer = api.ask(interface, data.OUTSIDER, **{INSURER: number})
            check(report, f"{interface} header {number!r:.30}", interface, answer, 400)


def tokens(report, api, known):
    """Whoever has no good token learns nothing else, whatever else is wrong."""
    good = known[data.OUTSIDER]
    bad = [None, "", "Bearer", "Bearer ", "x", known["expired"], f"Bearer {known['expired']}", good[:-1], good + "A",
           good.swapcase(), f"Basic {good}", f"{good},{good}", f"{good} {good}", "A" * len(good), b"\xff\xfe"]  # fmt: skip
    for interface, token in itertools.product(PATHS, bad):
        where = f"{interface} token {bad.index(token)}"
        answers = [
            api.ask(interface, data.OUTSIDER, Authorization=token),
            api.ask(interface, data.UNKNOWN, Authorization=token, **{INSURER: None}),
            api.post(interface, b"{", Authorization=token, Content_Type="text/plain"),
            api.post(interface, b"x" * 100_000, Authorization=token),
        ]
        for answer in answers:
            check(report, where, interface, answer, 401)
            challenge = answer.headers.get("WWW-Authenticate", "")
            report.expect(challenge.startswith("Bearer"), f"{where}: WWW-Authenticate {challenge!r}")
        details = {parsed(answer.content).get("result_detail") for answer in answers}
        report.expect(len(details) == 1, f"{where}: {details}")
    for interface, token in itertools.product(PATHS, (good, f"Bearer {good}", known["revoked"])):
        check(report, "good token", interface, api.ask(interface, data.OUTSIDER, Authorization=token), 200, SUCCESS)


def methods(report, api):
    """Other methods, another path."""
    for interface, path in PATHS.items():
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"):
            answer = api.session.request(method, api.url + path, headers=api.headers, timeout=30)
            allowed = [name.strip() for name in answer.headers.get("Allow", "").split(",")]
            report.expect(
                answer.status_code == 405 and allowed == ["POST"],
                f"{method} {path}: {answer.status_code}, Allow {allowed}",
            )
            if method != "HEAD":
                check(report, f"{method} {path}", interface, answer, 405)
    check(report, "unknown path", "file", api.session.get(api.url + "/nothing", headers=api.headers), 404)


def rate(report, url, known):
    """Two requests at once, then one a second, for each token; an answer of thousands of people is both at once."""
    api, other = (Api(url, known[owner], owner) for owner in (data.OUTSIDER, "142018"))
    asked = {"file": None, "json": PERSON}
    for interface in PATHS:
        time.sleep(3)
        answers = [api.ask(interface, data.OUTSIDER, asked[interface]) for _ in range(6)]
        statuses = [answer.status_code for answer in answers]
        report.expect(statuses[:2] == [200, 200] and 429 in statuses[2:4], f"{interface} at once: {statuses}")
        for answer in answers:
            if answer.status_code == 429:
                check(report, f"{interface} too many", interface, answer, 429)
                after = answer.headers.get("Retry-After", "")
                report.expect(after.isdigit() and 1 <= int(after) <= 3, f"{interface}: Retry-After {after!r}")
        check(report, f"{interface} other token", interface, other.ask(interface, "142018"), 200, SUCCESS)
        nobody = other.ask(interface, "142018", Authorization="x")
        check(report, f"{interface} no token", interface, nobody, 401)
        time.sleep(3)
        check(report, f"{interface} later", interface, api.ask(interface, data.OUTSIDER), 200, SUCCESS)
    time.sleep(3)
    check(report, "everybody", "json", api.ask("json", data.OUTSIDER), 200, SUCCESS)
    check(report, "one behind everybody", "json", api.ask("json", data.OUTSIDER, PERSON), 429)


def compression(report, api):
    """gzip for whoever asks for it, and the same answer for everybody."""
    for insured in (None, PERSON):
        answers = {}
        for coding in ("gzip", "gzip, deflate, br", "identity", "br", "gzip;q=0", "identity;q=0", "*;q=0", None):
            answer = api.ask("json", data.OUTSIDER, insured, Accept_Encoding=coding)
            check(report, f"Accept-Encoding {coding}", "json", answer, 200, SUCCESS)
            answers[coding] = answer.content
            found = answer.headers.get("Content-Encoding")
            wanted = "gzip" if coding in ("gzip", "gzip, deflate, br") else None
            small = insured and found is None  # one person's answer need not be packed
            report.expect(found == wanted or small, f"Accept-Encoding {coding}: Content-Encoding {found}")
        report.expect(
            len(set(answers.values())) == 1, f"answers differ by encoding: {[len(a) for a in answers.values()]}"
        )


def records(report, api):
    """Numbers are numbers, days that are not set are left out, and the number of records fits the whole answer."""
    day = data.date.fromisoformat(data.ON)
    for insured in (None, PERSON, "9999999999"):
        answer = check(report, f"records {insured}", "json", api.ask("json", data.OUTSIDER, insured), 200, SUCCESS)
        report.expect(answer.get("body") == data.people(data.OUTSIDER, day, insured), f"records of {insured} differ")
        report.expect(answer.get(INSURED) == insured, f"{INSURED} is {answer.get(INSURED)}, asked for {insured}")
        report.expect(len(answer.get("file_if_id", "")) == 9, f"file_if_id {answer.get('file_if_id')}")


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: contract.py URL LIMITED_URL WORKDIR")
    url, limited, work = sys.argv[1:]
    known, report = data.tokens_of(work), Report("contract")
    api = Api(url, known[data.OUTSIDER], data.OUTSIDER)
    for part in (request_fields, headers, methods, compression, records):
        part(report, api)
    tokens(report, api, known)
    rate(report, limited, known)
    report.end()


if __name__ == "__main__":
    main()
