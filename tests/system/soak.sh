#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# soak — hours of what stories do in seconds: tests/system/soak.sh BUILD MINUTES [SEED]
#
# Clients of every kind ask services of every mode that needs no tunnel, while configurations are applied at random,
# backends are drained, killed and started, a service goes and comes back, and millrace-controld is stopped or killed
# and started. A line each minute; ends with an error when a request failed that had no reason to, or when something grew.
#
# A request may fail that was under way when its service was gone or a web server was dead and not yet taken out.
if [ $# -lt 2 ] || ! [ "$2" -gt 0 ] 2>/dev/null; then
	echo "usage: tests/system/soak.sh BUILD MINUTES [SEED]" >&2
	exit 2
fi
MINUTES=$2
RANDOM=${3:-1}
. "$(dirname "$0")/story.sh"

RSS_SLACK_KB=16384    # millraced and millrace-controld may grow by, from the second minute on
MBUFS_SLACK=64        # packet buffers in use at rest, more than before
PROBES_SLACK=20       # sockets of checks that are under way
LOG_KB_PER_MINUTE=256 # both daemons

SCHEDULERS=(rr wrr lc wlc p2c sh maglev rendezvous)
GUEST=yes

# --- what is done to it ---

now() { date +%s.%N; }

window() { # window BEGIN END SERVICES : failures of requests that overlap have a cause
	echo "$1 $2 $3" >>"$T_DIR/windows"
}

make_config() {
	local line
	while IFS= read -r line; do
		[ $GUEST = yes ] || [ "${line%# guest}" = "$line" ] || continue
		line=${line//SCHED/${SCHEDULERS[RANDOM % 8]}}
		echo "${line//WEIGHT/$((50 + RANDOM % 100))}"
	done <"$T_TOOLS/soak.yaml" >"$T_DIR/soak.yaml"
}

apply() {
	make_config
	t_cli config apply "$T_DIR/soak.yaml" >/dev/null || fail "config apply"
	n_applied=$((n_applied + 1))
}

do_guest() { # the service goes, and comes back some time later
	local began
	began=$(now)
	GUEST=no
	apply
	sleep $((1 + RANDOM % 3))
	GUEST=yes
	apply
	t_wait 30 "the guest to be back" t_in_sync
	window "$began" "$(now)" guest
}

do_drain() {
	local name=web$((1 + RANDOM % 3)) pool
	for pool in web4 web6 dns4 dns6; do
		t_cli backend drain "$pool/$name" >/dev/null || fail "drain"
	done
	sleep $((1 + RANDOM % 4))
	for pool in web4 web6 dns4 dns6; do
		t_cli backend undrain "$pool/$name" >/dev/null || fail "undrain"
	done
}

do_kill_server() {
	local n=$((1 + RANDOM % 3)) began
	began=$(now)
	t_stop "web$n" KILL
	t_wait 60 "web$n to be taken out" t_is_state "web4/web$n" down
	t_wait 60 "web$n to be taken out" t_is_state "web6/web$n" down
	t_wait 60 "the change to be in force" t_in_sync
	window "$began" "$(now)" all
	sleep $((RANDOM % 3))
	t_nginx "$n"
	t_wait 60 "web$n to be back" t_is_state "web4/web$n" up
}

do_restart_controld() {
	t_stop controld TERM
	sleep $((RANDOM % 2))
	t_controld "$T_DIR/soak.yaml"
}

do_kill_controld() {
	t_stop controld KILL
	sleep $((RANDOM % 2))
	t_controld "$T_DIR/soak.yaml"
}

do_look() { # an operator
	t_cli conn show --limit 100 >/dev/null 2>&1 || fail "conn show"
	t_cli conn count >/dev/null || fail "conn count"
	t_cli service show >/dev/null && t_cli health show >/dev/null || fail "show"
}

ACTIONS=(apply apply apply do_drain do_guest do_look do_kill_server do_restart_controld do_kill_controld)

# --- what is looked at ---

rss_kb() { awk '/^VmRSS/ {print $2}' "/proc/$(t_pid "$1")/status"; }
fds() { find "/proc/$(t_pid "$1")/fd" -mindepth 1 | wc -l; }
logs_kb() { du -cb "$T_DIR"/millraced.log "$T_DIR"/controld.log | awk 'END {print int($1 / 1024)}'; }
drops() { t_cli -o json drops --all >"$T_DIR/drops.json"; }

drops_since() { # what was dropped since the file $1, by reason
	$T_PYTHON - "$1" "$T_DIR/drops.json" <<-EOF
		import json, sys
		was, now = ({c["name"]: c["value"] for c in json.load(open(p))["items"] if c["is_drop"]} for p in sys.argv[1:])
		print(" ".join(f"{k}={v - was.get(k, 0)}" for k, v in now.items() if v > was.get(k, 0)))
	EOF
}

# Failures without a cause: no window that they overlap. A request that began before the window ended may have gone to
# what was dead then.
unexplained() {
	$T_PYTHON - "$T_DIR/failures" "$T_DIR/windows" <<-EOF
		import sys
		windows = [line.split() for line in open(sys.argv[2])]
		for line in open(sys.argv[1]):
		    began, ended, service = line.split()[:3]
		    if not any(float(began) <= float(e) and float(ended) >= float(b) and s in ("all", service) for b, e, s in windows):
		        print(line, end="")
	EOF
}

row() { # row MINUTE
	drops
	printf '%6s %9s %7s %7s %6s %6s %7s %7s %4s %4s %6s %6s %6s  %s\n' "$1" \
		"$(t_json 'sum(v for k, v in a.items() if k not in ("failed", "moved"))' <"$T_DIR/totals")" \
		"$(t_json 'a.get("failed", 0)' <"$T_DIR/totals")" "$(unexplained | wc -l)" \
		"$(t_json 'a.get("moved", 0)' <"$T_DIR/totals")" "$n_applied" \
		"$(rss_kb millraced)" "$(rss_kb controld)" "$(fds millraced)" "$(fds controld)" \
		"$(t_status "['dataplane']['conns']")" "$(t_status "['dataplane']['mbufs']")" "$(logs_kb)" \
		"$(drops_since "$T_DIR/drops.last")"
	cp "$T_DIR/drops.json" "$T_DIR/drops.last"
}

is_accounted() { # the identity of counters.h
	drops
	t_json '(lambda v, d: v["rx"] + v["injected"] + v["generated"] == v["tx"] + v["punted"] + v["consumed"] + d
		+ v["held"] - v["released"] + v["fragments_held"] - v["fragments_released"])(
		{c["name"]: c["value"] for c in a["items"]}, sum(c["value"] for c in a["items"] if c["is_drop"]))' \
		<"$T_DIR/drops.json" | grep -q True
}

no_conns() { [ "$(t_status "['dataplane']['conns']")" = 0 ]; }
at_rest() { [ "$(t_status "['dataplane']['mbufs']")" -le $((mbufs + MBUFS_SLACK)) ]; }
grown() { # grown WHAT NOW BEFORE SLACK
	expect "$1: $2, $3 before" test "$2" -le $(($3 + $4))
}

# --- from begin to end ---

make_config
CONFIG=$T_DIR/soak.yaml
n_applied=0
: >"$T_DIR/windows"
: >"$T_DIR/failures"
story_begin --workers 2
for n in 1 2 3; do
	# answers of DNAT go back by the box, those of direct return do not
	t_in "web$n" ip rule add from 10.1.0.90 lookup 100
	t_in "web$n" ip route add 10.1.0.0/24 via 10.2.0.254 table 100
	t_in "web$n" ip route replace 10.1.0.0/24 via 10.2.0.1
	t_in "web$n" ip -6 rule add from fd00:1::90 lookup 100
	t_in "web$n" ip -6 route add fd00:1::/64 via fd00:2::fe table 100
	t_in "web$n" ip -6 route replace fd00:1::/64 via fd00:2::1
	t_spawn "udp$n" "web$n" $T_PYTHON "$T_TOOLS/udp_echo.py" "web$n" 5353
	t_spawn "quic$n" "web$n" $T_PYTHON "$T_TOOLS/quic_server.py" "web$n" 443 "00a$n"
	t_wait 30 "the UDP server $n" grep -q :14E9 "/proc/$(t_pid "udp$n")/net/udp6"
	t_wait 30 "the QUIC server $n" grep -q :01BB "/proc/$(t_pid "quic$n")/net/udp6"
done
t_load warm 10.1.0.80 80 --requests 300
t_cli conn kill --all >/dev/null
t_wait 60 "an empty table" no_conns
mbufs=$(t_status "['dataplane']['mbufs']")
fds_dp=$(fds millraced)
fds_cp=$(fds controld)
drops
cp "$T_DIR/drops.json" "$T_DIR/drops.last"

t_spawn soak_client client $T_PYTHON "$T_TOOLS/soak_client.py" "$T_DIR/over" "$T_DIR/totals" "$T_DIR/failures"
t_wait 30 "the clients" test -s "$T_DIR/totals"
printf '%6s %9s %7s %7s %6s %6s %7s %7s %4s %4s %6s %6s %6s  %s\n' minute requests failed nocause moved applied \
	dp-kB ctl-kB dpfd ctfd conns mbufs log-kB "drops in it"
begin=$SECONDS
for ((minute = 1; minute <= MINUTES; minute++)); do
	while [ $((SECONDS - begin)) -lt $((minute * 60)) ]; do
		action=${ACTIONS[RANDOM % ${#ACTIONS[@]}]}
		$action
		sleep $((1 + RANDOM % 3))
	done
	row $minute
	if [ $minute = 1 ]; then
		rss_dp=$(rss_kb millraced)
		rss_cp=$(rss_kb controld)
	fi
done

: >"$T_DIR/over"
wait "$(t_pid soak_client)" || fail "the clients: $(tail -n 3 "$T_DIR/soak_client.log")"
say "at rest"
t_cli conn kill --all >/dev/null
expect "no connection stays" t_wait 60 "an empty table" no_conns
t_wait 30 "packet buffers to come back" at_rest || true
grown "packet buffers in use" "$(t_status "['dataplane']['mbufs']")" "$mbufs" $MBUFS_SLACK
grown "files of millraced" "$(fds millraced)" "$fds_dp" 0
grown "files of millrace-controld" "$(fds controld)" "$fds_cp" $PROBES_SLACK
grown "kB of millraced" "$(rss_kb millraced)" "$rss_dp" $RSS_SLACK_KB
grown "kB of millrace-controld" "$(rss_kb controld)" "$rss_cp" $RSS_SLACK_KB
grown "kB of logs" "$(logs_kb)" 0 $((MINUTES * LOG_KB_PER_MINUTE))
expect "every packet is accounted for" t_wait 30 "the counters to agree" is_accounted
echo "requests: $(cat "$T_DIR/totals")"
unexplained >"$T_DIR/unexplained"
head -n 20 "$T_DIR/unexplained"
expect "no request failed without a cause" test ! -s "$T_DIR/unexplained"
