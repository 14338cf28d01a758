"""What the tests share: the tables of the interface, requests, and what is wrong with an answer.

Written from the tables in schemas/data/khs and the rules of the interface, not from what the program answers.
"""

import csv
import datetime
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import requests

TABLES = Path(__file__).resolve().parents[2] / "schemas/data/khs"
PATHS = {"file": "/khs-api/file", "json": "/khs-api/json"}
INSURER, INSURED = "care_insure_provider_number", "care_insurer_number"
SUCCESS, FAILURE = "成功", "失敗"
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FORMS = {"digits": re.compile(r"[0-9]+"), "alnum": re.compile(r"[0-9A-Za-z]+"), "ascii": re.compile(r"[!-~]+")}


class Field(NamedTuple):
    """A row of a table."""

    name: str
    name_ja: str
    type: str
    length: int
    fixed: bool
    required: bool


def message(name):
    """The fields of a message by name, in their order."""
    with open(TABLES / f"{name}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = ("name", "name_ja", "type")
    fields = [Field(*(r[k] for k in kept), int(r["length"]), r["fixed"] == "1", r["required"] == "1") for r in rows]
    return {field.name: field for field in fields}


PERSON = message("person")


class Report:
    """Collects what is wrong, so that all of it is seen at once."""

    def __init__(self, name):
        self.name, self.wrong, self.checks = name, [], 0

    def expect(self, holds, text):
        self.checks += 1
        if not holds:
            self.wrong.append(text)

    def end(self, said=""):
        """Prints the outcome; ends the program if something is wrong."""
        for line in self.wrong[:50]:
            print(f"WRONG {self.name}: {line}", file=sys.stderr)
        if self.wrong:
            sys.exit(f"{self.name}: {len(self.wrong)} of {self.checks} checks failed")
        print(f"{self.name}: {self.checks} checks{said and ': ' + said}")


class Api:
    """The two interfaces as a requester sees them."""

    def __init__(self, url, token, requester, verify=None):
        self.url, self.session = url, requests.Session()
        self.session.trust_env = False  # no proxy stands between
        self.session.verify = verify or True
        self.headers = {"Content-Type": "application/json", "Authorization": token, INSURER: requester}

    def post(self, interface, body, **headers):
        """Posts a body: bytes as they are, else as JSON; a header that is None is left out (_ stands for -)."""
        given = {**self.headers, **{n if n == INSURER else n.replace("_", "-"): v for n, v in headers.items()}}
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.session.post(self.url + PATHS[interface], data=data, headers=given, timeout=60)

    def ask(self, interface, insurer, insured=None, **headers):
        """Asks for an insurer or one person."""
        body = {INSURER: insurer} if insured is None else {INSURER: insurer, INSURED: insured}
        return self.post(interface, body, **headers)

    def get(self, url, method="GET", **options):
        """A request without the token, as a download is."""
        return self.session.request(method, url, timeout=60, allow_redirects=False, **options)


def parsed(text):
    """JSON of bytes, strictly: UTF-8, no key twice, no NaN."""

    def pairs(found):
        assert len({name for name, _ in found}) == len(found), f"a key stands twice: {[name for name, _ in found]}"
        return dict(found)

    def constant(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text.decode("utf-8", "strict"), object_pairs_hook=pairs, parse_constant=constant)


def value_fault(field, value):
    """What is wrong with a value, by its field; None if nothing is."""
    if field.type == "list":
        return None if isinstance(value, list) else "is no list"
    if field.type == "number":
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return None if is_number and 0 <= value < 10**field.length else f"is {value!r}"
    if not isinstance(value, str):
        return f"is {value!r}"
    if len(value) > field.length or (field.fixed and len(value) < field.length) or not value:
        return f"has {len(value)} characters: {value!r}"
    if field.type == "date":
        return None if is_day(value) else f"is no day: {value!r}"
    if field.type == "text":
        return "has control characters" if re.search(r"[\x00-\x1f\x7f-\x9f]", value) else None
    return None if FORMS[field.type].fullmatch(value) else f"is not {field.type}: {value!r}"


def is_day(text):
    """Whether a text is a day as YYYY-MM-DD."""
    try:
        return bool(DAY.fullmatch(text)) and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def object_faults(fields, found):
    """What is wrong with an object: names, order, required ones, values."""
    if not isinstance(found, dict):
        return [f"is no object: {found!r}"]
    wrong = [f"unknown {name}" for name in found if name not in fields]
    wrong += [f"{f.name} is missing" for f in fields.values() if f.required and f.name not in found]
    known = [name for name in found if name in fields]
    if known != [name for name in fields if name in found]:
        wrong.append(f"order {known}")
    faults = ((name, value_fault(fields[name], found[name])) for name in known)
    return wrong + [f"{name} {fault}" for name, fault in faults if fault]


def answer_faults(interface, answer):
    """What is wrong with an answer of an interface, by its table and the rules between its fields."""
    wrong = object_faults(message(f"{interface}-response"), answer)
    if wrong:
        return wrong
    good = answer["result"] == SUCCESS
    if answer["result"] not in (SUCCESS, FAILURE):
        wrong.append(f"result {answer['result']}")
    if good == ("result_detail" in answer):
        wrong.append(f"result {answer['result']}, result_detail {answer.get('result_detail')}")
    if interface == "file":
        return wrong + ([] if good == ("presigned_url" in answer) else ["presigned_url"])
    for person in answer["body"]:
        wrong += object_faults(PERSON, person)
    if answer["record_num"] != len(answer["body"]):
        wrong.append(f"record_num {answer['record_num']}, {len(answer['body'])} records")
    if not good and answer["body"]:
        wrong.append("records though it failed")
    return wrong


def check(report, where, interface, response, status, result=FAILURE):
    """Checks an answer against status, table and result; gives it as an object, empty if it is none."""
    here = f"{where}: {response.status_code} {response.text[:300]}"
    report.expect(response.status_code == status, f"{here}, wanted {status}")
    kind = response.headers.get("Content-Type", "").split(";")[0]
    report.expect(kind == "application/json", f"{here}: Content-Type {kind!r}")
    report.expect(response.headers.get("Cache-Control") == "no-store", f"{here}: Cache-Control")
    try:
        answer = parsed(response.content)
        wrong = answer_faults(interface, answer)
    except (ValueError, AssertionError) as error:
        answer, wrong = {}, [str(error)]
    report.expect(not wrong, f"{here}: {', '.join(wrong)}")
    found = answer.get("result") if isinstance(answer, dict) else None
    report.expect(found == result, f"{here}: result {found}, wanted {result}")
    return answer if isinstance(answer, dict) else {}
