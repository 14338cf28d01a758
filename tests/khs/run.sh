#!/usr/bin/env bash
# Tests of the KHS API with a running server: contract, hostile clients, what it says of itself, an independent client,
# who may ask for whom, schemathesis, TLS, `khs fetch`, changes while it runs, and what the logs say.
#
#   tests/khs/run.sh PROGRAM PYTHON WORKDIR
#
# PYTHON has the packages of tests/interop/requirements.txt; WORKDIR is an empty folder, the caller's to remove.
# SOAK=1: schemathesis tries 20 times as much.
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 64; }
program="$(realpath "$1")"
python="$(realpath --no-symlinks "$2")" # behind the link of a venv there are no packages
work="$(realpath "$3")"
here="$(cd "$(dirname "$0")" && pwd)"
examples=100
if [ "${SOAK:-}" = 1 ]; then examples=2000; fi
export PYTHONDONTWRITEBYTECODE=1
declare -A pids urls
trap 'for name in "${!pids[@]}"; do kill -KILL "${pids[$name]}" 2>/dev/null || true; done' EXIT

# Starts a server called $1 with the other options; its address goes into ${urls[$1]}.
start() {
    local name="$1"
    shift
    "$program" khs serve --tokens "$work/tokens" --listen 127.0.0.1:0 "$@" >"$work/$name.out" 2>"$work/$name.err" &
    pids[$name]=$!
    for _ in $(seq 150); do
        urls[$name]="$(sed -n 's|.*serves \(https\{0,1\}://127\.0\.0\.1:[0-9]*\).*|\1|p' "$work/$name.err" | head -n 1)"
        if [ -n "${urls[$name]}" ]; then return 0; fi
        kill -0 "${pids[$name]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "the server $name does not say where it serves:" >&2
    cat "$work/$name.err" >&2
    return 1
}

# Ends the server called $1 as an operator does: within seconds, in order, also while somebody is connected.
stop() {
    local name="$1" pid="${pids[$1]}" code=0 begun=$SECONDS address="${urls[$1]##*//}"
    exec 9<>"/dev/tcp/${address/://}"
    kill -TERM "$pid"
    wait "$pid" || code=$?
    exec 9>&-
    unset "pids[$name]"
    [ "$code" -eq 0 ] || { echo "the server $name ended with $code" >&2; cat "$work/$name.err" >&2; return 1; }
    [ $((SECONDS - begun)) -le 10 ] || { echo "the server $name took $((SECONDS - begun)) s to end" >&2; return 1; }
    if grep -qi panic "$work/$name.err"; then cat "$work/$name.err" >&2; return 1; fi
}

# Runs a Python part and says how long it took.
part() {
    local begun=$SECONDS
    "$python" "$here/$1" "${@:2}"
    echo "$1: $((SECONDS - begun)) s"
}

# The audit log of the server called $1 is in $work/$1.audit.
matrix() {
    start before --data "$work/data" --on 2026-03-31 --signing-key "$work/signing.key" --audit "$work/before.audit"
    start within --data "$work/data" --on 2026-04-01 --signing-key "$work/signing.key" --audit "$work/within.audit"
    part matrix.py "${urls[before]}" "$work/before.audit" "${urls[within]}" "$work/within.audit" "$work"
    stop before
    stop within
}

# All checks, against the document the server has of itself.
schemathesis() {
    local begun=$SECONDS good interface
    start schemathesis --data "$work/data" --on 2026-05-01 --audit "$work/schemathesis.audit"
    # From WORKDIR, where it leaves files.
    (
        export KHS_URL="${urls[schemathesis]}" KHS_TOKEN SCHEMATHESIS_HOOKS="$here/addresses.py" PYTHONPATH="$here"
        KHS_TOKEN="$(token 141003)"
        cd "$work"
        "$python" -m schemathesis.cli --config-file "$here/schemathesis.toml" run "$KHS_URL/openapi.json" \
            --checks all --max-examples "$examples" --no-color
    ) >"$work/schemathesis.txt" 2>&1 || { cat "$work/schemathesis.txt" >&2; return 1; }
    # A run in which nothing succeeded would have tried little.
    for interface in file json download; do
        good="$(grep "\"interface\":\"$interface\"" "$work/schemathesis.audit" | grep -c '"result":"成功"')" || true
        echo "schemathesis: $interface: $good requests succeeded"
        [ "$good" -ge 10 ] || { cat "$work/schemathesis.txt" >&2; return 1; }
    done
    grep 'generated, ' "$work/schemathesis.txt"
    stop schemathesis
    echo "schemathesis: $((SECONDS - begun)) s"
}

token() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/tokens.json" "$1"; }

# An authority and a certificate by it, for as long as tests run.
certificates() {
    (
        cd "$work"
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=tsumiage test CA" -keyout ca.key -out ca.pem
        openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout server.key -out server.csr
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem \
            -extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost")
    ) >"$work/openssl.out" 2>&1 || { cat "$work/openssl.out" >&2; return 1; }
}

# `khs fetch` into a folder of its own named $1, as the insurer $2, for the insurer $3, with other options.
fetch() {
    local folder="$work/$1" requester="$2" insurer="$3"
    shift 3
    [ -d "$folder" ] || cp -a "$work/unloaded" "$folder"
    token "$requester" >"$work/token"
    "$program" khs fetch --insurer "$insurer" --requester "$requester" --token-file "$work/token" \
        --data "$folder" --on 2026-05-01 "$@" \
        >>"$work/fetch.out"
}

# What was fetched into folder $1, as published, against what the insurers $2 … have.
fetched() {
    local folder="$work/$1" snapshot
    shift
    snapshot="$("$program" resolve --data "$folder" | tail -n 1 | cut -d ' ' -f 3-)"
    part fetched.py "$snapshot" "$@"
}

# The client of ours against the server of ours.
fetches() {
    local url="${urls[main]}" code=0 rows
    fetch by-json 141003 141003 --url "$url"
    fetched by-json 141003
    fetch by-file 141003 141003 --url "$url" --file
    fetch by-file 272010 272010 --url "$url/khs-api/file" --file
    fetched by-file 141003 272010
    fetch by-member 141003 143014 --url "$url"
    fetch by-member 141003 142018 --url "$url" --file
    fetched by-member 143014 142018
    fetch by-person 142018 142018 --url "$url" --insured 1400000010
    "$program" resolve --data "$work/by-person" >"$work/resolved.out"
    rows="$("$program" query "SELECT insured_no, status FROM khs" --format csv --data "$work/by-person")"
    [ "$(tail -n +2 <<<"$rows" | tr -d '\r')" = 1400000010,2 ] || { echo "one person fetched: $rows" >&2; return 1; }
    echo x >"$work/wrong"
    "$program" khs fetch --url "$url" --insurer 141003 --token-file "$work/wrong" --data "$work/by-person" \
        >"$work/wrong.out" 2>&1 || code=$?
    [ "$code" -eq 1 ] || { echo "fetch with a wrong token ended with $code" >&2; cat "$work/wrong.out" >&2; return 1; }
    code=0
    fetch by-person 142018 142018 --url "$url" --insured 2720000000 || { echo "nobody fetched: $?" >&2; return 1; }
    fetch by-person 142018 143014 --url "$url" 2>"$work/refused.out" || code=$?
    [ "$code" -eq 1 ] || { echo "fetch of a sister's people ended with $code" >&2; return 1; }
}

tls() {
    local code=0
    certificates
    start tls --data "$work/data" --on 2026-05-01 --tls-cert "$work/server.pem" --tls-key "$work/server.key" \
        --audit "$work/tls.audit"
    part tls.py "${urls[tls]}" "$work/ca.pem" "$work"
    fetch by-tls 272010 272010 --url "${urls[tls]}" --ca "$work/ca.pem" --file
    fetch by-tls 272010 272010 --url "${urls[tls]}" --attempts 1 2>"$work/untrusted.out" || code=$?
    [ "$code" -eq 1 ] || { echo "fetch from whom nobody trusts ended with $code" >&2; return 1; }
    stop tls
}

begun=$SECONDS
"$python" "$here/data.py" "$program" "$work"
echo "data.py: $((SECONDS - begun)) s"
start main --data "$work/data" --on 2026-05-01
start limited --data "$work/limited" --on 2026-05-01
grep -q -- '--on 2026-05-01: the day stands still' "$work/main.err" || { cat "$work/main.err" >&2; exit 1; }
part contract.py "${urls[main]}" "${urls[limited]}" "$work"
part hostile.py "${urls[main]}" "${urls[limited]}" "$work"
part described.py "${urls[main]}" "$work"
part client.py "${urls[main]}" "${urls[limited]}" "$work"
matrix
schemathesis
tls
fetches
start full --data "$work/data" --on 2026-05-01 --audit /dev/full
# Last: it changes what there is.
part changes.py "${urls[main]}" "${urls[full]}" "$program" "$work"
stop full
stop limited
stop main
part leaks.py "$work/data/khs/audit.ndjson" "$work"/*.audit "$work"/*.err "$work"/*.out
echo "KHS API: $((SECONDS - begun)) s"
