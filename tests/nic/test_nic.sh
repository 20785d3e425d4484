#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test_nic.sh BUILD NIC…
# The dataplane on two NICs of one kind after the other by their own drivers, in one guest whose network is that of the
# other stories: clients and servers are real, and outside. A device is only emulated, but its driver is not.
. "$(dirname "$0")/../system/story.sh"
. "$(dirname "$0")/guest.sh"
NICS=("${@:2}")

t_cli() { g "$T_BUILD/control/cli/millrace" -s /run/control.sock "$@"; }

t_dataplane() { # t_dataplane [OPTION…]
	: >"$T_DIR/millraced.log"
	g_spawn millraced "$T_BUILD/dataplane/millraced" --port "north=$(g_address $K n)" --port "south=$(g_address $K s)" \
		--idle sleep=1000 --conns 8192 --conns6 8192 --services 64 --backends 256 --snats 4 --neighs 1024 \
		--cache-memory 20 --tcp-conns 1024 --tcp-buffers 4096 --socket /run/dataplane.sock "$@"
	t_wait 120 millraced has_started || true
	grep -q "notice: ready" "$T_DIR/millraced.log" || fail "millraced does not start"
	grep -h "info: port" "$T_DIR/millraced.log"
}

has_started() { grep -q "notice: ready" "$T_DIR/millraced.log" || [ -s "$T_DIR/millraced.rc" ]; }

t_controld() { # t_controld CONFIG
	g_spawn controld "$T_BUILD/control/daemon/millrace-controld" --config "$1" --state-dir /run/state \
		--socket /run/control.sock --dataplane /run/dataplane.sock
	t_wait 120 millrace-controld t_cli status
}

converge() { # until the services work
	t_wait 120 "the configuration to be in force" t_in_sync
	# shellcheck disable=SC2016
	g sh -ec 'for s in shop shop6 direct direct6; do
		$1 -s /run/control.sock --timeout 100s wait healthy $s 3
	done' sh "$T_BUILD/control/cli/millrace" >/dev/null || fail "backends are not up"
	t_wait 60 "the last change to be in force" t_in_sync
}

port() { # port NAME FIELD
	t_cli -o json port show "$1" | t_json 'a["items"][0][sys.argv[1]]' "$2"
}

is_link() { [ "$(port north link_up)" = "$1" ]; }

agreed() { # agreed QUEUES OF-TRANSMIT : of both ports, and nothing else, is agreed what the device can do
	t_cli -o json port show >"$T_DIR/ports.json"
	expect "what this NIC can do is agreed: $DRIVER, spread $SPREAD, $1 and $2 queues, $OFFLOADS" test "$(t_report ports \
		'set((p["driver"], p["spread"], p["offloads"], p["n_rx_queues"], p["n_tx_queues"]) for p in a["items"])')" \
		= "{('$DRIVER', '$SPREAD', '$OFFLOADS', $1, $2)}"
	MAC=$(t_report ports 'a["items"][0]["mac"]')
}

count() { t_cli -o json drops --all >"$T_DIR/$1.json"; } # count WHEN : all counters

grew() { # grew COUNTER FROM TO : by how much
	t_json 'sum(c["value"] * sign for f, sign in ((sys.argv[2], -1), (sys.argv[3], 1)) for c in json.load(open(f))["items"]
		if c["name"] == sys.argv[1])' "$1" "$T_DIR/$2.json" "$T_DIR/$3.json" <<<null
}

kept() { # kept NAME : since the last time; whether the device brings packets to the worker that owns their flow
	local n
	mv "$T_DIR/now.json" "$T_DIR/last.json"
	count now
	n=$(grew handed_over last now)
	if [[ " $KEPT " == *" $1 "* ]]; then
		expect "the device brought every packet of $1 to its flow's worker" test "$n" = 0
	else
		expect "the device did not know, packets of $1 were handed over" test "$n" -gt 20
	fi
}

answered() { # answered NAME HOST PORT : requests from the client
	t_load "$1" "$2" "$3" --requests 100 --concurrency 10 --timeout 30
	expect_all "$1"
}

mc() { t_in client $T_PYTHON "$T_TOOLS/mc_client.py" 10.1.0.100 11211 "$@"; }
mc_tcp() { t_in client $T_PYTHON "$T_TOOLS/mc_tcp.py" 10.1.0.100 11211 "$@"; }

stores() { # a client on a slow machine gives up after a second
	mc fill 100 1000 >"$T_DIR/fill.json" && [ "$(t_report fill 'a["stored"]')" = 100 ]
}

serve_all() { # both modes in both families, and a cache
	count now
	answered shop 10.1.0.80 80
	kept shop
	answered shop6 fd00:1::80 80
	kept shop6
	answered direct 10.1.0.90 8080
	kept direct
	answered direct6 fd00:1::90 8080
	kept direct6
	t_wait 60 "a cache" stores || fail "a cache stores what comes over UDP: $(<"$T_DIR/fill.json")"
	kept cache-udp
	t_cli -o json worker show >"$T_DIR/workers.json"
	expect "all workers have flows" test "$(t_report workers 'min(w["conns"] for w in a["items"])')" -gt 0
	[ "$RECEIVE" != all ] || expect "all workers receive" test "$(t_report workers \
		'min(w["rx_packets"] for w in a["items"])')" -gt 50
}

checksums() { # exactly the frames with a wrong one are dropped, each for its reason, and none is that a device left out
	count before
	t_in client $T_PYTHON "$T_TOOLS/../nic/bad_frames.py" eth0 10 10.1.0.10 10.1.0.100 "$MAC"
	# its kernel then leaves checksums to the device, and that to ours
	t_in client ethtool -K eth0 tx on >/dev/null
	mc check 100 1000 >"$T_DIR/check.json"
	expect "a cache answers datagrams whose checksum a device was to fill in" test \
		"$(t_report check '"%d %d" % (a["found"], a["wrong"])')" = "100 0"
	answered offloaded 10.1.0.80 80
	t_in client ethtool -K eth0 tx off >/dev/null
	# frames that were sent before those that were answered
	count after
	expect "frames with a bad IPv4 header checksum are dropped, and no other" test "$(grew bad_ip_checksum before after)" = 10
	expect "frames with a bad UDP checksum are dropped, and no other" test "$(grew udp_checksum before after)" = 10
}

over_tcp() { # what the box sends itself: its checksums are the device's where it offers that
	mc_tcp values 5 100000 >"$T_DIR/values.json" || fail "values over TCP"
	echo "5 values of 100,000 bytes over TCP: $(<"$T_DIR/values.json")"
	mc_tcp depth 300 >"$T_DIR/depth.json" || fail "a pipeline over TCP"
	expect "a client's kernel found no wrong checksum" test "$(t_in client awk '/^Tcp:/ { split($0, v); n = v[NF] }
		END { print n }' /proc/net/snmp)" = 0
	t_cli -o json cache stats sessions >"$T_DIR/stats.json"
	t_cli -o json tcp show cache >"$T_DIR/tcp.json"
	# 100 over UDP, 5 and 1 here; bad_frames.py asks in 10 right frames for what is not there
	expect "the cache counted what came over UDP and TCP" test "$(t_report stats \
		'[(i["sets"] >= 106, i["gets"] - i["hits"]) for i in a["items"]]')" = "[(True, 10)]"
	expect "and TCP its connections and requests" test "$(t_report tcp \
		'[(i["conns_total"], i["requests"]) for i in a["items"]]')" = "[(2, 311)]"
	[[ " $OFFLOADS " != *" tx-tso "* ]] || expect "the device cut frames into segments, of values that lie in the cache" test "$(t_report tcp \
		'sorted(c["name"] for c in a["counters"] if c["name"] in ("frames_cut", "refs") and c["value"] > 0)')" = "['frames_cut', 'refs']"
}

flap() { # the link goes and comes
	g_monitor "set_link nic$K-n off" >/dev/null
	t_wait 60 "the port to say so" is_link False
	expect "a link that goes is told" is_link False
	g_monitor "set_link nic$K-n on" >/dev/null
	t_wait 60 "the link" is_link True
	t_wait 60 "an answer" t_in client curl -sf -o /dev/null --max-time 2 http://10.1.0.80/
	answered flapped 10.1.0.80 80
}

nothing_lost() {
	count end
	expect "nothing was lost for want of buffers or room" test \
		"$(t_report end 'sum(c["value"] for c in a["items"] if c["name"] in ("mailbox_full", "no_mbuf", "tx_full", "tx_refused"))')" = 0
}

describe() { # describe NIC : the device, and what is to be agreed with it
	DEVICE=$1 QUEUES=1 SPREAD=software KEPT="" RECEIVE=all OPTIONS="--workers 2 --rxd 256 --txd 512" RXQ=2
	case $1 in
	virtio-*)
		DEVICE=virtio-net-pci,disable-legacy=on,iommu_platform=on,mq=on,vectors=6,rss=on
		DRIVER=net_virtio OFFLOADS="tx-tcp-checksum tx-tso" SPREAD=rss QUEUES=2
		KEPT="shop shop6 direct direct6 cache-udp"
		case $1 in
		virtio-packed) DEVICE+=,packed=on,rx_queue_size=1024 ;;
		virtio-split) DEVICE+=,rx_queue_size=256 ;;
		*) fail "no NIC of that name: $1" ;;
		esac
		;;
	# QEMU's chip puts everything into queue 0. RSS of some kinds is offered, so that of both ports is worker 0's
	vmxnet3) DRIVER=net_vmxnet3 OFFLOADS="tx-tcp-checksum tx-tso" RECEIVE=one ;;
	e1000e) DRIVER=net_e1000_em OFFLOADS="rx-ipv4-checksum tx-tcp-checksum" RXQ=1 OPTIONS+=" --rx-queues 1" ;;
	# QEMU's chip does not hash TCP over IPv6 when asked to, only when asked for MRQC's bit for extension headers
	igb)
		DRIVER=net_e1000_igb OFFLOADS="rx-ipv4-checksum rss-hash tx-tcp-checksum tx-tso" SPREAD=rss RXQ=4
		KEPT="shop direct cache-udp" OPTIONS="--workers 2 --rx-queues 4"
		;;
	*) fail "no NIC of that name: $1" ;;
	esac
}

story() { # story NIC : on the pair K
	local begun=$SECONDS
	describe "$1"
	say "$1"
	g_plug $K
	expect "vfio-pci takes both" g_bind "$(g_address $K n)" "$(g_address $K s)"
	[ "$1" != igb ] || g_monitor "set_link nic$K-n off" >/dev/null
	# shellcheck disable=SC2086
	t_dataplane $OPTIONS
	[ -e "$T_DIR/controld.log" ] || t_controld /mnt/demo.yaml
	converge
	if [ "$1" = igb ]; then
		expect "a link that is not there is told" is_link False
		g_monitor "set_link nic$K-n on" >/dev/null
		t_wait 60 "the link that comes late" is_link True
		t_wait 60 "an answer" t_in client curl -sf -o /dev/null --max-time 2 http://10.1.0.80/
	fi
	echo "$1: traffic begins after $((SECONDS - begun)) s"
	agreed $RXQ 2
	serve_all
	checksums
	over_tcp
	t_in client curl -sSf --max-time 100 -o "$T_DIR/got" http://10.1.0.80/big
	expect "a download is whole" cmp "$T_DIR/got" "$T_DIR/big"
	flap
	nothing_lost
	g_stop millraced
	if [ "$1" = igb ]; then
		say "the same devices once more, a worker for each queue"
		t_dataplane --workers 4
		converge
		agreed 4 4
		serve_all
		nothing_lost
		g_stop millraced
	fi
	echo "$1 took $((SECONDS - begun)) s" >>"$T_DIR/results"
}

g_require
if [[ " ${NICS[*]} " == *" igb "* ]]; then
	g_require_new
	G_CPU=Nehalem # without AVX: the least that a build runs on
fi
t_network
head -c 2000000 /dev/urandom >"$T_DIR/big"
for n in 1 2 3; do
	mkdir -p "$T_DIR/web$n/www"
	cp "$T_DIR/big" "$T_DIR/web$n/www"
	t_nginx $n
done
# a guest on a busy machine is slow, and its servers are not down for that
sed 's/interval: 500ms/interval: 2s/; s/timeout: 300ms/timeout: 2s/; s/rise: 2/rise: 1/; s/fall: 2/fall: 10/' "$CONFIG" \
	>"$T_DIR/demo.yaml"

say "a guest with two each of ${NICS[*]}"
g_bridges
for K in "${!NICS[@]}"; do
	describe "${NICS[K]}"
	g_nic "$K" "$QUEUES" "$DEVICE"
done
g_boot
echo "the guest is up after $SECONDS s" | tee "$T_DIR/results"
for K in "${!NICS[@]}"; do
	story "${NICS[K]}"
done
cat "$T_DIR/results"
expect "each NIC has its result" test "$(grep -c took "$T_DIR/results")" = ${#NICS[@]}
echo "took $SECONDS s"
