#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# scale.sh — how the cost of a packet grows with flows, services and backends; perf/README.md says what it means.
set -eu

usage="usage: perf/micro/scale.sh BUILD_DIR [--quick]"
[ $# -ge 1 ] || { echo "$usage" >&2; exit 2; }
bench=$1/perf/micro/micro_bench
[ -x "$bench" ] || { echo "error: there is no $bench; build it with ./dev build release" >&2; exit 2; }
args=(--benchmark_min_time=0.01 --benchmark_repetitions=9)
[ "${2:-}" != --quick ] || args=(--benchmark_min_time=0.001)
"$bench" --flows=1 --benchmark_min_time=0.001 | head -n 5

# one FLOWS SERVICES BACKENDS : a process for each, as each has another dataplane
one() {
	"$bench" --flows="$1" --services="$2" --backends="$3" "${args[@]}" >"$out"
	awk -v flows="$1" -v services="$2" -v backends="$3" '
		$1 == "path/shaped/hit" { hit = $(NF - 1); hit_ratio = $(NF - 2) }
		$1 == "path/new-flow/shaped/ipv4" { new = $(NF - 1); new_ratio = $(NF - 2) }
		END { printf "%9d %9d %9d %12.1f %8.2f %12.1f %8.2f\n", flows, services, backends, hit, hit_ratio, new, new_ratio }
	' "$out"
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
printf '%9s %9s %9s %12s %8s %12s %8s\n' flows services backends "hit cycles" ratio "new cycles" ratio
for n in 1 10000 100000 1000000 8000000; do one $n 1 10; done
for n in 1 10 1000; do one 10000 $n 10; done
for n in 10 100 1000 10000; do one 10000 1 $n; done
