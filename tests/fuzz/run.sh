#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh — fuzzes: tests/fuzz/run.sh BUILD_DIR SECONDS [TARGET…]
#
# Each target, two at a time, for SECONDS. BUILD_DIR is a build with -Dfuzz=true (./dev build fuzz). What is
# new goes to a directory that is removed at the end, unless FUZZ_CORPUS=DIR says where to keep it, in
# DIR/TARGET; what fails an input goes to BUILD_DIR/fuzz-found.
set -u

if [ $# -lt 2 ] || ! [ "$2" -gt 0 ] 2>/dev/null; then
	echo "usage: tests/fuzz/run.sh BUILD_DIR SECONDS [TARGET…]" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
build=$1
seconds=$2
shift 2
found=$build/fuzz-found
JOBS=2

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
	for exe in "$build"/tests/fuzz/fuzz_*; do
		[ -f "$exe" ] && [ -x "$exe" ] && targets+=("$(basename "$exe" | sed 's/^fuzz_//')")
	done
fi
if [ ${#targets[@]} -eq 0 ]; then
	echo "error: no targets in $build/tests/fuzz: is it a build with -Dfuzz=true? (./dev build fuzz)" >&2
	exit 2
fi

# The targets keep sockets and files in FUZZ_DIR: in memory where there is room for that.
FUZZ_DIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" fuzz-run-XXXXXX) || exit 2
export FUZZ_DIR
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=quarantine_size_mb=64
declare -A running=() # pid → target
n_failed=0

cleanup() {
	trap - EXIT INT TERM HUP
	[ ${#running[@]} -eq 0 ] || kill -KILL "${!running[@]}" 2>/dev/null
	wait
	rm -rf "$FUZZ_DIR"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start() { # start TARGET
	local target=$1 new=${FUZZ_CORPUS:-$FUZZ_DIR/corpus}/$1 args=()
	mkdir -p "$new" "$found"
	[ ! -e "$here/$target.dict" ] || args+=("-dict=$here/$target.dict")
	# weighing inputs by how rare their features are takes longer, at first, than running them
	[ "$seconds" -ge 60 ] || args+=(-entropic=0)
	"$build/tests/fuzz/fuzz_$target" "${args[@]}" -max_total_time="$seconds" -timeout=10 \
		-rss_limit_mb=2048 -close_fd_mask=3 -artifact_prefix="$found/$target-" \
		"$new" "$here/corpus/$target" >"$FUZZ_DIR/$target.log" 2>&1 </dev/null &
	running[$!]=$target
}

report() { # report TARGET EXIT_CODE : one line, more when it failed
	local target=$1 rc=$2 log=$FUZZ_DIR/$1.log runs cov input
	runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log" | tail -n 1)
	[ -n "$runs" ] || runs=$(sed -n 's/^#\([0-9]*\)\t.*/\1/p' "$log" | tail -n 1)
	cov=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
	printf '%-10s %9s runs  %6s edges  %s\n' "$target" "${runs:-0}" "${cov:-0}" \
		"$([ "$rc" -eq 0 ] && echo ok || echo FAILED)"
	[ "$rc" -ne 0 ] || return 0
	n_failed=$((n_failed + 1))
	grep -aE 'FUZZ_CHECK|cannot start|runtime error|ERROR: |SUMMARY: ' "$log" | cut -c 1-300 | sed 's/^/    /'
	input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	if [ -n "$input" ]; then
		echo "    input:  $input"
		echo "    again:  UBSAN_OPTIONS=$UBSAN_OPTIONS $build/tests/fuzz/fuzz_$target $input"
	else
		tail -n 20 "$log" | sed 's/^/    /'
	fi
}

finish_one() {
	local pid="" rc
	wait -n -p pid "${!running[@]}"
	rc=$?
	[ -n "$pid" ] || return
	report "${running[$pid]}" "$rc"
	unset "running[$pid]"
}

for target in "${targets[@]}"; do
	if ! [ -x "$build/tests/fuzz/fuzz_$target" ]; then
		echo "error: there is no target '$target' in $build/tests/fuzz" >&2
		exit 2
	fi
	[ ${#running[@]} -lt $JOBS ] || finish_one
	start "$target"
done
while [ ${#running[@]} -gt 0 ]; do
	finish_one
done
[ $n_failed -eq 0 ]
