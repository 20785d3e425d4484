#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The same random requests, text, meta and binary, to a stock memcached and to our codecs, executor and cache: equal answers.
# DIFFER_SEED and DIFFER_REQUESTS in the environment: other requests, or more of them.
. "$(dirname "$0")/story.sh"
command -v memcached >/dev/null || fail "memcached is not installed; it is one of the packages of ./dev"

say "a memcached that only this test can reach"
# Without its background threads an item is not held by one of them just when it is counted (mc_differ.py).
memcached -u root -s "$T_DIR/memcached" -t 1 -m 256 -o no_lru_maintainer,no_lru_crawler \
	>"$T_DIR/memcached.log" 2>&1 </dev/null &
T_PIDS+=($!)
t_wait 5 "memcached" test -S "$T_DIR/memcached"

say "the same to both"
# A seed of its own makes each run the same one.
export DIFFER_SEED=${DIFFER_SEED:-1} DIFFER_REQUESTS=${DIFFER_REQUESTS:-20000}
expect "all answers are equal" "$T_PYTHON" -B "$T_TOOLS/mc_differ.py" "$T_DIR/memcached" "$T_BUILD/tests/system/mcbox"
