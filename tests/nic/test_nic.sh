#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: test_nic.sh BUILD NIC
# The dataplane on two NICs of one kind by their own drivers, in a guest whose network is that of the other
# stories: clients and servers are real, and outside. A device is only emulated, but its driver is not.
. "$(dirname "$0")/../system/story.sh"
. "$(dirname "$0")/guest.sh"
NIC=$2

t_cli() { g "$T_BUILD/control/cli/millrace" -s /run/control.sock "$@"; }

t_dataplane() { # t_dataplane [OPTION…]
	: >"$T_DIR/millraced.log"
	g_spawn millraced "$T_BUILD/dataplane/millraced" --port "north=$PCI_N" --port "south=$PCI_S" --idle sleep \
		--conns 8192 --conns6 8192 --services 64 --backends 256 --snats 4 --neighs 1024 --cache-memory 20 --tcp-conns 1024 --tcp-buffers 4096 \
		--socket /run/dataplane.sock "$@"
	t_wait 60 millraced has_started || true
	grep -q "notice: ready" "$T_DIR/millraced.log" || fail "millraced does not start"
}

has_started() { grep -q "notice: ready" "$T_DIR/millraced.log" || [ -s "$T_DIR/millraced.rc" ]; }

t_controld() { # t_controld CONFIG
	g_spawn controld "$T_BUILD/control/daemon/millrace-controld" --config "$1" --state-dir /run/state \
		--socket /run/control.sock --dataplane /run/dataplane.sock
	t_wait 60 millrace-controld t_cli status
}

port() { # port NAME FIELD
	t_cli -o json port show "$1" | t_json 'a["items"][0][sys.argv[1]]' "$2"
}

is_link() { [ "$(port north link_up)" = "$1" ]; }

workers() { t_cli -o json worker show | t_json "$1"; } # workers EXPRESSION

converge() { # until the services work
	local s
	for s in shop shop6 direct direct6; do
		t_healthy $s 3 60 >/dev/null || fail "$s: its backends are not up"
	done
	t_wait 30 "the last change to be in force" t_in_sync
}

answered() { # answered NAME HOST PORT : requests from the client
	t_load "$1" "$2" "$3" --requests 100 --concurrency 10 --timeout 30
	expect_all "$1"
}

counts() { # counts COUNTER KIND : ten frames with a wrong checksum of that kind, and no more, are dropped for it
	local before
	before=$(counter "$1")
	t_in client $T_PYTHON "$T_TOOLS/../nic/bad_frames.py" eth0 "$2" 10 10.1.0.10 10.1.0.100 "$(port north mac)"
	is_counted() { [ "$(counter "$1")" -ge $((before + 10)) ]; }
	t_wait 20 "frames with a bad checksum to be dropped" is_counted "$1"
	expect "exactly those are dropped as $1" test "$(counter "$1")" = $((before + 10))
}

stays() { # stays NAME HOST PORT yes|no : whether the device brings flows of direct return to the worker that owns them
	local before
	before=$(counter handed_over)
	answered "$1" "$2" "$3"
	before=$(($(counter handed_over) - before))
	if [ "$4" = yes ]; then
		expect "the device brought every packet to its flow's worker" test $before = 0
	else
		expect "the device did not know, packets were handed over" test $before -gt 50
	fi
}

serve_all() { # serve_all yes|no yes|no : both modes, and both families; see stays()
	answered shop 10.1.0.80 80
	answered shop6 fd00:1::80 80
	stays direct 10.1.0.90 8080 "$1"
	stays direct6 fd00:1::90 8080 "$2"
	expect "all workers have flows" test "$(workers 'min(w["conns"] for w in a["items"])')" -gt 0
}

DEVICE=$NIC DEVICE_OPTIONS='' TAP_OPTIONS='' TAP_QUEUES=1
case $NIC in
virtio-packed | virtio-split)
	DEVICE=virtio-net-pci DRIVER=net_virtio OFFLOADS=tx-tcp-checksum SPREAD=rss STAYS="yes yes" TAP_QUEUES=2
	TAP_OPTIONS=,queues=2,vhost=off
	DEVICE_OPTIONS=,disable-legacy=on,iommu_platform=on,mq=on,vectors=6,rss=on,rx_queue_size=1024
	[ "$NIC" = virtio-split ] || DEVICE_OPTIONS+=,packed=on
	;;
# QEMU's chip puts everything into queue 0
vmxnet3) DRIVER=net_vmxnet3 OFFLOADS=tx-tcp-checksum SPREAD=software STAYS="no no" ;;
e1000e) DRIVER=net_e1000_em OFFLOADS="rx-ipv4-checksum tx-tcp-checksum" SPREAD=software STAYS="no no" ;;
# QEMU's chip does not hash TCP over IPv6 when asked to, only when asked for MRQC's bit for extension headers
igb) DRIVER=net_e1000_igb OFFLOADS="rx-ipv4-checksum rss-hash tx-tcp-checksum" SPREAD=rss STAYS="yes no" ;;
*) fail "no NIC of that name: $NIC" ;;
esac
g_require
[ "$NIC" != igb ] || g_require_new

say "a guest with two $DEVICE"
t_network
head -c 2000000 /dev/urandom >"$T_DIR/big"
for n in 1 2 3; do
	mkdir -p "$T_DIR/web$n/www"
	cp "$T_DIR/big" "$T_DIR/web$n/www"
	t_nginx $n
done
g_taps $TAP_QUEUES
g_boot -device pcie-root-port,id=rn,chassis=1,slot=1 -device pcie-root-port,id=rs,chassis=2,slot=2 \
	-netdev "tap,id=n,ifname=nic-n,script=no,downscript=no$TAP_OPTIONS" \
	-device "$DEVICE,id=north,netdev=n,bus=rn,romfile=$DEVICE_OPTIONS" \
	-netdev "tap,id=s,ifname=nic-s,script=no,downscript=no$TAP_OPTIONS" \
	-device "$DEVICE,id=south,netdev=s,bus=rs,romfile=$DEVICE_OPTIONS"
echo "the guest is up after $SECONDS s"
PCI_N=0000:01:00.0 PCI_S=0000:02:00.0
expect "vfio-pci takes both" g_bind $PCI_N $PCI_S

say "two workers"
t_dataplane --workers 2
# a guest on a busy machine is slow, and its servers are not down for that
sed 's/interval: 500ms/interval: 5s/; s/timeout: 300ms/timeout: 4s/; s/fall: 2/fall: 5/' "$CONFIG" >"$T_DIR/demo.yaml"
t_controld /mnt/demo.yaml
converge
echo "traffic begins after $SECONDS s"
grep "info: port" "$T_DIR/millraced.log"
t_cli -o json port show >"$T_DIR/ports.json"
for p in 0 1; do
	is() { test "$(t_report ports "a['items'][$p]['$1']")" = "$2"; }
	expect "its own driver" is driver $DRIVER
	expect "what is agreed is what this NIC can do" is offloads "$OFFLOADS"
	expect "a receive queue for each worker" is n_rx_queues 2
	expect "a transmit queue for each worker" is n_tx_queues 2
	expect "how flows come to their workers is told" is spread $SPREAD
done
# shellcheck disable=SC2086
serve_all $STAYS
[ "$NIC" = vmxnet3 ] || expect "both workers receive" test "$(workers 'min(w["rx_packets"] for w in a["items"])')" -gt 50

say "checksums"
counts bad_ip_checksum ip
counts udp_checksum udp
mc() { t_in client $T_PYTHON "$T_TOOLS/mc_client.py" 10.1.0.100 11211 "$@"; }
mc fill 100 1000 >"$T_DIR/fill.json"
expect "a cache stores" test "$(t_report fill 'a["stored"]')" = 100
# its kernel then leaves checksums to the device, and that to ours
t_in client ethtool -K eth0 tx on >/dev/null
mc check 100 1000 >"$T_DIR/check.json"
expect "a cache answers datagrams whose checksum a device was to fill in" test \
	"$(t_report check '"%d %d" % (a["found"], a["wrong"])')" = "100 0"
answered offloaded 10.1.0.80 80
t_in client ethtool -K eth0 tx off >/dev/null

say "memcached over TCP: a device that can writes the checksums of what we send"
mc_tcp() { t_in client $T_PYTHON "$T_TOOLS/mc_tcp.py" 10.1.0.100 11211 "$@"; }
mc_tcp values 5 100000 >"$T_DIR/values.json" || fail "values over TCP"
echo "5 values of 100,000 bytes over TCP: $(cat "$T_DIR/values.json")"
mc_tcp depth 300 >"$T_DIR/depth.json" || fail "a pipeline over TCP"

say "long frames"
t_in client curl -sSf --max-time 60 -o "$T_DIR/got" http://10.1.0.80/big
expect "a download is whole" cmp "$T_DIR/got" "$T_DIR/big"

say "the link goes and comes"
g_monitor "set_link north off"
t_wait 20 "the port to say so" is_link False
expect "it is told" is_link False
g_monitor "set_link north on"
t_wait 20 "the link" is_link True
t_wait 20 "an answer" t_in client curl -sf -o /dev/null --max-time 2 http://10.1.0.80/
answered flapped 10.1.0.80 80
expect "nothing was lost for want of buffers or room" test \
	"$(($(counter mailbox_full) + $(counter no_mbuf) + $(counter tx_full)))" = 0

g_stop millraced
if [ "$NIC" = igb ]; then
	say "the same devices once more, four workers"
	t_dataplane --workers 4
	converge
	expect "a queue for each worker" test "$(port north n_rx_queues)" = 4
	# shellcheck disable=SC2086
	serve_all $STAYS
	g_stop millraced
fi
echo "took $SECONDS s"
