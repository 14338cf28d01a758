#!/usr/bin/env bash
# What a competent user would write himself, with DuckDB and with Polars, against tsumiage: the same months from the same files.
#
#   benches/peers.sh [--recipients N] [--movements N] [--insurers K] [--runs N]
#   benches/peers.sh --help
#
# Builds the program (release), fetches the peers from PyPI into target/peers, prints a table; fails if what they publish
# differs. TSUMIAGE: another program to measure, which is then not built. Takes about 5 minutes on 2 cores, besides the build.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
venv="$target/peers"
requirements=benches/peers/requirements.txt
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$venv/requirements.txt" # last: marks the folder as whole
fi
source benches/program.sh
exec "$venv/bin/python" benches/peers.py --program "$program" "$@"
