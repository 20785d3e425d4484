#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A thousand configurations under load, none lost; and configurations that cannot be: every error at its
# place, nothing applied, the running generation untouched.
. "$(dirname "$0")/story.sh"
GENERATIONS=${GENERATIONS:-1000}
story_begin

say "$GENERATIONS generations under load in both modes"
sed 's/weight: 50/weight: 60/' "$CONFIG" >"$T_DIR/b.yaml"
sed '/  web3: /d; s/scheduler: wrr/scheduler: maglev/' "$CONFIG" >"$T_DIR/c.yaml"
files=("$CONFIG" "$T_DIR/b.yaml" "$T_DIR/c.yaml")
before=$(t_status "['dataplane']['generations_published']")
t_download long shop 10.1.0.80 80
t_load_begin nat 10.1.0.80 80 --concurrency 5
t_load_begin dsr fd00:1::90 8080 --concurrency 5
start=$SECONDS
for ((i = 1; i <= GENERATIONS; i++)); do
	t_cli config apply "${files[i % 3]}" >/dev/null || fail "apply $i"
done
seconds=$((SECONDS - start))
t_load_end nat
t_load_end dsr
after=$(t_status "['dataplane']['generations_published']")
echo "$GENERATIONS applied in $seconds s; published $((after - before))"
expect "each was published" test $((after - before)) -ge "$GENERATIONS"
expect_all nat
expect_all dsr
expect "a download went through all of it" t_download_end long

say "a check is added to pools under load, and changed, also where flows of what is down are reset: none lost"
sed 's/^  shop:$/&\n    on_backend_down: reset/; s/^    vip: "fd00:1::90"$/&\n    on_backend_down: reset/' "$CONFIG" \
	>"$T_DIR/checked.yaml"
sed '/check: http-ok/d' "$T_DIR/checked.yaml" >"$T_DIR/unchecked.yaml"
sed 's/type: http/type: tcp/; /path:/d; /expect:/d' "$T_DIR/checked.yaml" >"$T_DIR/tcp.yaml"
t_download live shop 10.1.0.80 80
t_load_begin nat-checked 10.1.0.80 80 --concurrency 5
t_load_begin dsr-checked fd00:1::90 8080 --concurrency 5
for ((i = 0; i < 10; i++)); do
	for f in unchecked checked tcp; do
		t_cli config apply "$T_DIR/$f.yaml" >/dev/null || fail "apply $f.yaml"
	done
done
t_load_end nat-checked
t_load_end dsr-checked
expect_all nat-checked
expect_all dsr-checked
expect "a download went through all of it" t_download_end live
expect "all are up by their check" t_healthy shop 3

say "what is applied is what export prints"
t_cli config apply "$CONFIG" >/dev/null
t_cli config export >"$T_DIR/exported.yaml"
expect "no difference" t_cli config diff "$T_DIR/exported.yaml"
expect_fail "b.yaml differs" 5 t_cli config diff "$T_DIR/b.yaml"
expect_says "weight"
expect_fail "a dry run says so too" 5 t_cli config apply "$T_DIR/b.yaml" --dry-run
generation=$(t_status "['daemon']['generation']")
expect_fail "an expected generation that is not" 6 t_cli config apply "$T_DIR/b.yaml" --if-generation 1
expect "nothing was applied" test "$(t_status "['daemon']['generation']")" = "$generation"

say "bad files"
cat >"$T_DIR/bad.yaml" <<-EOF
	version: 1
	network:
	  ports:
	    north: { addresses: [10.1.0.1/33] }
	    north: { addresses: [10.1.0.2/24] }
	    west: { addresses: [10.9.0.1/24] }
	  snat: [10.2.0.100-10.2.0.101]
	pools:
	  web:
	    backends:
	      - { name: web1, ip: 10.2.0.11, prot: 8080, weight: 2000 }
	services:
	  shop: { vip: 10.1.0.80, port: 80, mode: ful-nat, pool: wen }
EOF
expect_fail "config check: every error at once" 3 t_cli config check "$T_DIR/bad.yaml"
for text in bad.yaml:4: bad.yaml:5: bad.yaml:11: bad.yaml:13: "did you mean" "north" "prot" "ful-nat" "wen"; do
	expect_says "$text"
done
expect_fail "config apply: the same" 3 t_cli config apply "$T_DIR/bad.yaml"
expect_says bad.yaml:13:
sed 's/    north:/    nort:/' "$CONFIG" >"$T_DIR/port.yaml"
expect_fail "a port that the dataplane has not" 3 t_cli config apply "$T_DIR/port.yaml"
expect_says nort
expect "nothing was applied" test "$(t_status "['daemon']['generation']")" = "$generation"
expect "the saved file is the one before" t_cli config diff "$CONFIG"
t_load unharmed 10.1.0.80 80 --requests 500
expect_all unharmed
