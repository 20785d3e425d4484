#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What cannot be had at start is told with its remedy and a non-zero exit; drivers that are there start.
. "$(dirname "$0")/story.sh"

start() { # start WHAT STATUS OPTION… : must end by itself with that status
	local what=$1 status=$2
	shift 2
	expect_fail "$what" "$status" timeout 30 ip netns exec "$T_ID-mr" "$T_BUILD/dataplane/millraced" \
		--socket "$T_DIR/d.sock" "$@"
}

runs() { # runs NAME OPTION… : starts, says what its ports are, ends when told
	local name=$1
	shift
	t_spawn "$name" mr "$T_BUILD/dataplane/millraced" --socket "$T_DIR/$name.sock" --workers 1 --idle sleep \
		--no-huge "$@"
	t_wait 30 "$name" grep -q "notice: ready" "$T_DIR/$name.log" || {
		cat "$T_DIR/$name.log"
		fail "$name does not start"
	}
	kill -TERM "$(t_pid "$name")"
	wait "$(t_pid "$name")" || fail "$name did not end well"
	echo "ok: $name starts and ends"
}

ip netns add "$T_ID-mr"
ip netns exec "$T_ID-mr" ip link set lo up

say "mistakes on the command line: exit status 2"
start "no port" 2
expect_says "--port"
start "a slip of the pen" 2 --prot a=net_null0
expect_says "did you mean --port"
start "a port without a device" 2 --port a
expect_says "NAME=DEVICE"
start "a number out of range" 2 --port a=net_null0 --rxd 7
expect_says "32"

say "what is not there: exit status 1"
start "no such interface" 1 --no-huge --port a=net_af_xdp0,iface=nosuch
expect_says "no interface nosuch"
start "no interface named" 1 --no-huge --port a=net_af_packet0
expect_says "iface=NAME"
start "no such PCI device" 1 --no-huge --port a=0000:ff:1f.7
expect_says "no such PCI device"
start "no such driver" 1 --no-huge --port a=net_nosuch0
expect_says "no driver of that name"
start "not a network device" 1 --no-huge --port a=crypto_null0
expect_says "net_"
start "no room for the socket" 1 --no-huge --port a=net_null0 --socket "$T_DIR/no/such/dir/d.sock" --kernel-if none
expect_says "$T_DIR/no/such/dir"
free=$(awk '/^HugePages_Free/ {print $2}' /proc/meminfo)
if [ "$free" = 0 ]; then
	start "no hugepages" 1 --port a=net_null0
	expect_says "vm.nr_hugepages="
	expect_says "--no-huge"
fi
expect_fail "no permission" 1 timeout 30 ip netns exec "$T_ID-mr" setpriv --bounding-set -all --inh-caps -all \
	--reuid nobody --regid nogroup --clear-groups env LSAN_OPTIONS=detect_leaks=0 "$T_BUILD/dataplane/millraced" \
	--no-huge --port a=net_af_packet0,iface=lo --socket /tmp/d$$.sock
expect_says "run as root"

say "drivers; test_drivers.sh has those that need another process"
runs null --port a=net_null0 --kernel-if none
runs ring --port a=net_ring0 --port b=net_ring1 --kernel-if none
runs tap --port a=net_tap0,iface=tapa --port b=net_tap1,iface=tapb --kernel-if none
: >"$T_DIR/in.pcap"
$T_PYTHON - "$T_DIR/in.pcap" <<-EOF
	import struct, sys
	frame = bytes(12) + b"\x08\x00" + bytes(50)
	with open(sys.argv[1], "wb") as f:
	    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
	    f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
EOF
runs pcap --port "a=net_pcap0,rx_pcap=$T_DIR/in.pcap,tx_pcap=$T_DIR/out.pcap" --kernel-if none
ip netns exec "$T_ID-mr" ip link add v0 type veth peer name v1
ip netns exec "$T_ID-mr" ip link set v0 up
ip netns exec "$T_ID-mr" ip link set v1 up
runs af_packet --port a=net_af_packet0,iface=v0
runs af_xdp --port a=net_af_xdp0,iface=v0
runs both --port a=net_af_packet0,iface=v0 --port b=net_ring0
