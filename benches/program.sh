# Sourced by the benchmarks, at the project's root: $program is what is measured. TSUMIAGE: another program, which is then not built.
program="${TSUMIAGE:-}"
if [ -z "$program" ]; then
    cargo build --release --workspace
    program="${CARGO_TARGET_DIR:-target}/release/tsumiage"
fi
