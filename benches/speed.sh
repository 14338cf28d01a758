#!/usr/bin/env bash
# How fast everything is, step by step: reader, taking in, fold from memory and from the ledger, Parquet, then the whole
# `nightly` beside DuckDB and Polars, the KHS API, and the cost of a correction. Each prints its input, medians, and ratios to limits
# measured in the same run.
#
#   benches/speed.sh            about 15 minutes on 2 cores, besides two builds (the benchmarks have libraries of their own)
#   benches/speed.sh --small    a tenth of the data, to see that all of it runs
#   benches/speed.sh --large    besides, 10 million movements of 1 million recipients (needs 30 GB of disk)
set -euo pipefail
cd "$(dirname "$0")/.."
recipients=100000 movements=1000000 runs=3 large=
for word in "$@"; do
    case "$word" in
    --small) recipients=10000 movements=100000 runs=1 ;;
    --large) large=yes ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
done

cargo build --release --workspace
bench() { cargo bench --quiet --workspace --bench "$@"; }
echo "== reader" && bench reader
echo "== taking in" && bench ledger -- "$recipients" "$movements" 40 0 "$runs"
echo "== stacking and publishing, one core" && bench stacking -- "$((recipients / 5))" "$((movements / 5))" 0 "$runs"
echo "== nightly, DuckDB, Polars" && benches/peers.sh --recipients "$recipients" --movements "$movements" --runs "$runs"
if [ -n "$large" ]; then
    echo "== nightly of 10 million movements" && benches/nightly.sh --recipients 1000000 --movements 10000000 --runs 1
fi
echo "== the KHS API" && benches/khs.sh
echo "== after a correction" && benches/incremental.sh --recipients "$((2 * recipients))" \
    --movements "$((2 * movements))" --people "$((recipients / 500))" --runs "$runs"
