#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Ports that are shared memory with another process: two dataplanes joined by memif, then by vhost-user and
# virtio-user. The kernel beside the first pings the address of the second: ARP, NDP and echo go both ways.
. "$(dirname "$0")/story.sh"
T_NS="mr peer"

side() { # side NAME NAMESPACE ADDRESS4 ADDRESS6 OPTION… : a dataplane and the daemon that gives it its addresses
	local name=$1 ns=$2
	cat >"$T_DIR/$name.yaml" <<-EOF
		version: 1
		network:
		  ports: { p: { addresses: [$3, "$4"] } }
	EOF
	shift 4
	t_spawn "$name" "$ns" "$T_BUILD/dataplane/millraced" --socket "$T_DIR/$name.sock" --workers 1 --idle sleep \
		--no-huge "$@"
	t_wait 30 "$name" grep -q "notice: ready" "$T_DIR/$name.log" || fail "$name does not start"
	t_spawn "$name-controld" "$ns" "$T_BUILD/control/daemon/millrace-controld" --config "$T_DIR/$name.yaml" \
		--state-dir "$T_DIR/$name.state" --socket "$T_DIR/$name.control" --dataplane "$T_DIR/$name.sock"
	t_wait 30 "$name to have its addresses" is_in_sync "$name"
}

cli() { # cli NAME COMMAND…
	"$T_BUILD/control/cli/millrace" -s "$T_DIR/$1.control" "${@:2}"
}

is_in_sync() { [ "$(cli "$1" -o json status | t_json 'a["items"][0]["dataplane"]["in_sync"]')" = True ]; }

echoes() { # echoes NAME : answered by that dataplane itself
	cli "$1" -o json drops --all | t_json 'sum(c["value"] for c in a["items"] if c["name"] == "echo_replies")'
}

pair() { # pair NAME DEVICE PEER-DEVICE : the peer is there first
	local name=$1
	say "$name: $2 and $3"
	side "$name-peer" peer 10.9.0.2/24 fd00:9::2/64 --port "p=$3" --kernel-if none
	side "$name" mr 10.9.0.1/24 fd00:9::1/64 --port "p=$2"
	# a device may bring its link up after the address
	t_wait 10 "the first answer" t_in mr ping -q -c 1 -W 1 10.9.0.2
	expect "ping over IPv4" t_in mr ping -q -c 20 -i 0.02 -W 2 -s 1400 10.9.0.2
	expect "ping over IPv6" t_in mr ping -q -c 20 -i 0.02 -W 2 -s 1400 fd00:9::2
	expect "the other dataplane answered" test "$(echoes "$name-peer")" -ge 41
	for p in "$name-controld" "$name" "$name-peer-controld" "$name-peer"; do
		kill -TERM "$(t_pid "$p")"
		wait "$(t_pid "$p")" || fail "$p did not end well"
	done
}

for ns in $T_NS; do
	ip netns add "$T_ID-$ns"
	t_in "$ns" ip link set lo up
	t_in "$ns" sysctl -qw net.ipv6.conf.default.accept_dad=0
done
pair memif "net_memif0,role=client,socket=$T_DIR/memif.s,socket-abstract=no" \
	"net_memif0,role=server,socket=$T_DIR/memif.s,socket-abstract=no"
pair vhost "net_virtio_user0,path=$T_DIR/vhost.s" "net_vhost0,iface=$T_DIR/vhost.s"
