#!/usr/bin/env bash
# What a correction costs: resolving after one small file, against resolving everything.
#
#   benches/incremental.sh [--recipients N] [--movements N] [--insurers K] [--people N] [--runs N]
#   benches/incremental.sh --help
#
# Builds the program (release), prints tables. TSUMIAGE: another program to measure, which is then not built. Takes about
# 10 minutes on 2 cores, besides the build.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/program.sh
exec python3 benches/incremental.py --program "$program" "$@"
