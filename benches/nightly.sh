#!/usr/bin/env bash
# A whole `nightly`, from an inbox into a new data folder: time, memory, and where the time went.
#
#   benches/nightly.sh [--recipients N] [--movements N] [--insurers K] [--full-share S] [--clean] [--runs N]
#   benches/nightly.sh --help
#
# Builds the program (release), prints a line. TSUMIAGE: another program to measure, which is then not built.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/program.sh
exec python3 benches/nightly.py --program "$program" "$@"
