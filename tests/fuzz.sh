#!/usr/bin/env bash
# Fuzzes every target for a while: tests/fuzz.sh [SECONDS_PER_TARGET] [TARGET...]
# Default: 20 s each of all targets. Needs the usual toolchain only (no nightly: no sanitizer, there is no
# unsafe code), network once for cargo-fuzz. A crash, a hang of 10 s or 2 GiB of memory fails; what led to it is
# kept in the folder that is named then. The committed corpus is not changed; with FUZZ_KEEP=DIR what was
# found goes to DIR/<target> and is where the next run begins.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)"
version=0.13.2
seconds="${1:-20}"
shift || true
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(reader control membership layouts scanner walks parts khs)

tools="$target/tools"
if ! "$tools/bin/cargo-fuzz" --version 2>/dev/null | grep -q " $version\$"; then
    cargo install cargo-fuzz --locked --quiet --version "$version" --root "$tools"
fi
# One unit of code generation each would build for three times as long.
env -u CARGO_TARGET_DIR "$tools/bin/cargo-fuzz" build --sanitizer none --codegen-units 16 --target-dir "$target/fuzz"
binaries="$target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
found="$target/fuzz-found"
mkdir -p "$found"
failed=0
for name in "${targets[@]}"; do
    corpus="${FUZZ_KEEP:-$work}/$name"
    mkdir -p "$corpus"
    options=(-timeout=10 -rss_limit_mb=2048 -max_len=65536 -dict=fuzz/dictionary "-max_total_time=$seconds")
    if "$binaries/$name" "$corpus" "fuzz/corpus/$name" "${options[@]}" "-artifact_prefix=$found/$name-" \
        >"$work/log" 2>&1; then
        runs="$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$work/log")"
        echo "fuzz $name: $runs executions in $seconds s, nothing found"
    else
        tail -n 60 "$work/log" >&2
        echo "fuzz $name: FAILED; the input is in $found" >&2
        failed=1
    fi
done
exit "$failed"
