#!/usr/bin/env bash
# How fast files go through Kafka: worker, broker and sink on one partition, all on this machine.
#
#   benches/kafka.sh [--shape large|small] [--recipients N] [--runs N]
#   benches/kafka.sh --help
#
# Builds the program (release), fetches the broker as the tests do (Java 17, Maven), prints a table. TSUMIAGE: another
# program to measure, which is then not built. Takes about 10 minutes on 2 cores, besides the build.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/program.sh
exec python3 benches/kafka.py --program "$program" "$@"
