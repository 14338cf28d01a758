"""No log says an insured number, a token or the signature of a download address.

python leaks.py FILE ...
"""

import re
import sys
from pathlib import Path

import data
from api import Report
from matrix import NOT_THERE

NUMBERS = {person[1] for person in data.PEOPLE} | {NOT_THERE}
# Tokens and signatures have 43 characters.
LONG = re.compile(r"(?<![0-9A-Za-z_-])[0-9A-Za-z_-]{43}(?![0-9A-Za-z_-])")


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: leaks.py FILE ...")
    report, lines = Report("leaks"), 0
    for path in sys.argv[1:]:
        text = Path(path).read_text(encoding="utf-8")
        lines += text.count("\n")
        numbers = NUMBERS.intersection(re.findall(r"(?<!\d)\d{10}(?!\d)", text))
        report.expect(not numbers, f"{path} has insured numbers: {sorted(numbers)[:3]}")
        long = LONG.findall(text)
        report.expect(not long, f"{path} has {len(long)} words as long as a token")
        report.expect("sig=" not in text, f"{path} has a signature")
    report.end(f"{len(sys.argv) - 1} files, {lines} lines")


if __name__ == "__main__":
    main()
