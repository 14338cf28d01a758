"""Movement files in UTF-8 for the peers, which do not read CP932: `5311/*.csv` and `files.csv`.

    python convert.py INBOX INPUT

Not part of what is measured. `files.csv` has the id (sha256) of every file as it came, so that the peers need not hash.
"""

import csv
import hashlib
import sys
from pathlib import Path


def main() -> None:
    """Converts every file of layout 5311."""
    inbox, out = map(Path, sys.argv[1:])
    (out / "5311").mkdir(parents=True)
    with (out / "files.csv").open("w", encoding="utf-8", newline="") as lines:
        ids = csv.writer(lines)
        ids.writerow(["name", "file_id"])
        for path in sorted(inbox.glob("*-5311.csv")):
            came = path.read_bytes()
            (out / "5311" / path.name).write_bytes(came.decode("cp932").encode())
            ids.writerow([path.name, hashlib.sha256(came).hexdigest()])


if __name__ == "__main__":
    main()
