#!/usr/bin/env bash
# All tests, with their own set-up: Rust tests of the workspace, those with a real Apache Kafka (Java 17 and Maven; it
# goes to target/kafka), then the samples through the program and the snapshots through DuckDB, Polars and pyarrow, the
# metrics through Prometheus' parser, docker-compose.yml through its schema, the KHS API through clients that are not ours
# (Python packages go to target/python).
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
venv="$target/python"
requirements=tests/interop/requirements.txt

# Succeeds with $venv ready; says why and fails if it cannot be.
python_ready() {
    if [ -f "$venv/requirements.txt" ] && cmp -s "$requirements" "$venv/requirements.txt"; then return 0; fi
    command -v python3 >/dev/null || { echo "there is no python3 on this machine" >&2; return 1; }
    rm -rf "$venv" &&
        python3 -m venv "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" &&
        cp "$requirements" "$venv/requirements.txt" # last: marks the folder as whole
}

cargo build --workspace --all-targets
cargo test --workspace

work="$(mktemp -d)"
kafka="$work/kafka"
mkdir "$kafka"
trap 'tests/kafka/broker.sh stop "$kafka" || true; rm -rf "$work"' EXIT
code=0
tests/kafka/broker.sh start "$kafka" || code=$?
if [ "$code" -eq 0 ]; then
    TSUMIAGE_TEST_KAFKA="$kafka" cargo test --workspace --test e2e kafka_broker:: -- --ignored --test-threads=2 |
        tee "$work/kafka.out"
    grep -q '^test result: ok. [1-9]' "$work/kafka.out" || { echo "no test of the Kafka broker ran" >&2; exit 1; }
    tests/kafka/broker.sh stop "$kafka"
elif [ "$code" -ne 3 ] || [ "${CI:-}" = true ]; then
    echo "the tests with a real Kafka broker must run" >&2
    exit 1
else
    echo "SKIPPED: ALL TESTS WITH A REAL KAFKA BROKER (Java 17, Maven or openssl is missing, or the fetch failed)"
fi

tests/fuzz.sh "${FUZZ_SECONDS:-20}"

# 2: done, but some sample records are made to be rejected.
code=0
"$target/debug/tsumiage" nightly --inbox samples/inbox --data "$work/data" --on 2026-11-01 \
    --metrics-file "$work/tsumiage.prom" >"$work/out" || code=$?
cat "$work/out"
[ "$code" -eq 2 ] || { echo "nightly on the samples ended with $code, expected 2" >&2; exit 1; }
# Once more after a file was taken back, so that there is a difference to the snapshot before.
first="$("$target/debug/tsumiage" query "SELECT min(file_id) FROM recipient_month" --format csv --data "$work/data" |
    tail -n 1)"
"$target/debug/tsumiage" withdraw "$first" --reason test --data "$work/data"
"$target/debug/tsumiage" resolve --data "$work/data" >"$work/out-again"
"$target/debug/tsumiage" nightly --inbox samples/union/inbox --data "$work/data-union" --on 2026-05-01 >"$work/out-union"
"$target/debug/tsumiage" khs load samples/union/cards.csv --data "$work/data-union" --on 2026-05-02
"$target/debug/tsumiage" resolve --data "$work/data-union" >"$work/out-cards"

if python_ready; then
    for out in "$work/out" "$work/out-again" "$work/out-union" "$work/out-cards"; do
        snapshot="$(tail -n 1 "$out" | cut -d ' ' -f 3-)"
        "$venv/bin/python" tests/interop/check_snapshot.py "$snapshot"
    done
    "$venv/bin/python" tests/interop/check_metrics.py "$work/tsumiage.prom" "$code"
    "$venv/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yml
    "$venv/bin/python" tests/kafka/check_compose.py "$target/debug/tsumiage"
    mkdir "$work/khs"
    tests/khs/run.sh "$target/debug/tsumiage" "$venv/bin/python" "$work/khs"
elif [ "${CI:-}" = true ]; then
    echo "the interop tests need Python 3 with venv and the packages of $requirements" >&2
    exit 1
else
    echo "SKIPPED: interop tests (Python 3 with venv and the packages of $requirements are missing)"
fi
