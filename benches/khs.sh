#!/usr/bin/env bash
# How fast `tsumiage khs serve` answers: one person as JSON by wrk from a process of its own, everybody of a large insurer
# as JSON and by file with curl; and how much memory the server takes.
#
#   benches/khs.sh [--people N] [--seconds S] [--runs N]
#   benches/khs.sh --help
#
# Builds the program (release), prints a table. TSUMIAGE: another program to measure, which is then not built. Needs wrk and
# curl (Debian packages); takes about a minute besides the build. wrk and curl share the cores with the server.
set -euo pipefail
cd "$(dirname "$0")/.."
people=180000 seconds=10 runs=3
while [ $# -gt 0 ]; do
    case "$1" in
    --people) people="$2" && shift 2 ;;
    --seconds) seconds="$2" && shift 2 ;;
    --runs) runs="$2" && shift 2 ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" && exit 64 ;;
    esac
done
for tool in wrk curl awk; do
    command -v $tool >/dev/null || { echo "there is no $tool on this machine" >&2; exit 3; }
done
source benches/program.sh
insurer=272010
work="$(mktemp -d)"
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" || true; fi; rm -rf "$work"' EXIT

# Everybody of the insurer: every third card was stopped, every tenth of these again good.
awk -v people="$people" -v insurer="$insurer" 'BEGIN {
    print "care_insure_provider_number,care_insurer_number,care_insurance_status,care_insurance_end_date,care_insurance_end_cancel_date"
    for (n = 1; n <= people; n++) {
        end = n % 3 ? "" : sprintf("2026-%02d-%02d", n % 12 + 1, n % 28 + 1)
        printf "%s,%010d,%d,%s,%s\n", insurer, n, n % 4, end, n % 30 ? "" : "2027-01-31"
    }
}' >"$work/people.csv"
"$program" khs load "$work/people.csv" --data "$work/data" >"$work/load.out"
# Else the limit of a token might be measured.
printf '\n[khs]\nrequests_per_second = 1000000\nrequests_at_once = 1000000\n' >>"$work/data/settings.toml"
"$program" khs token new --tokens "$work/tokens" --insurer "$insurer" >"$work/token" 2>"$work/token.err"

"$program" khs serve --data "$work/data" --tokens "$work/tokens" --listen 127.0.0.1:0 2>"$work/err" &
server=$!
url=
for _ in $(seq 300); do
    url="$(sed -n 's|.*serves \(http://[0-9.:]*\).*|\1|p' "$work/err" | head -n 1)"
    if [ -n "$url" ] || ! kill -0 "$server" 2>/dev/null; then break; fi
    sleep 0.1
done
[ -n "$url" ] || { cat "$work/err" >&2; exit 1; }

peak() { awk '/^VmHWM:/ { printf "%.0f", $2 / 1024 }' "/proc/$server/status"; }

headers=(-H "Authorization: $(cat "$work/token")" -H "care_insure_provider_number: $insurer" -H "Content-Type: application/json")

# One request of interface $1 by curl, its answer to file $2; other options follow.
ask() {
    curl --silent --show-error --fail "${headers[@]}" -d "{\"care_insure_provider_number\":\"$insurer\"}" -o "$2" "${@:3}" \
        "$url/khs-api/$1"
}

# Median of the times of $runs downloads by the command that follows, which prints seconds and bytes sent; as a row called
# $1. MB/s are of $2 bytes, unpacked.
row() {
    local name="$1" bytes="$2"
    shift 2
    for _ in $(seq "$runs"); do "$@"; done | sort -n | awk -v name="$name" -v runs="$runs" -v bytes="$bytes" '
        { seconds[NR] = $1; sent = $2 }
        END {
            s = seconds[int((runs + 1) / 2)]
            printf "%-28s %6.1f MB, %6.1f MB sent, %6.3f s, %5.0f MB/s\n", name, bytes / 1e6, sent / 1e6, s, bytes / 1e6 / s
        }'
}

by_json() { ask json "$work/answer" -w '%{time_total} %{size_download}\n' "$@"; }

by_file() {
    local signed
    ask file "$work/answer"
    signed="$(sed 's/.*"presigned_url":"\([^"]*\)".*/\1/' "$work/answer")"
    curl --silent --show-error --fail -o "$work/file" -w '%{time_total} %{size_download}\n' "$signed"
}

# What is measured must be right: everybody is there, and a person is found.
ask json "$work/all"
grep -q "\"record_num\":$people," "$work/all" || { head -c 300 "$work/all" >&2; exit 1; }
one="{\"care_insure_provider_number\":\"$insurer\",\"care_insurer_number\":\"0000000001\"}"
found="$(curl --silent "${headers[@]}" -d "$one" "$url/khs-api/json")"
grep -q '"record_num":1,' <<<"$found" || { echo "$found" >&2; exit 1; }

lscpu 2>/dev/null | awk -F ': *' '/^Model name/ { print $2; exit }' | sed "s/^/$(nproc) cores, /"
echo "$people people; peak memory after start $(peak) MB"
KHS_TOKEN="$(cat "$work/token")" KHS_INSURER="$insurer" KHS_PEOPLE="$people" \
    wrk -t1 -c32 -d "${seconds}s" --latency -s benches/khs/person.lua "$url" >"$work/wrk.out"
if grep -E 'Non-2xx|Socket errors' "$work/wrk.out"; then cat "$work/wrk.out" >&2; exit 1; fi
awk '/ 50%/ { p50 = $2 } / 99%/ { p99 = $2 } /^Requests\/sec/ { rate = $2 }
    END { printf "%-28s %6.0f requests/s, p50 %s, p99 %s\n", "one person, 32 connections", rate, p50, p99 }' "$work/wrk.out"
row "everybody, JSON" "$(stat -c %s "$work/all")" by_json
row "everybody, JSON, gzip" "$(stat -c %s "$work/all")" by_json -H "Accept-Encoding: gzip"
by_file >"$work/first"
[ "$(wc -l <"$work/file")" -eq $((people + 1)) ] || { echo "the file is not whole" >&2; exit 1; }
row "everybody, by file" "$(stat -c %s "$work/file")" by_file
echo "peak memory $(peak) MB"
