#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# ICMP errors find the flow they are about, with the kernels' own TCP and UDP at both ends. A client behind a link of
# 1,300 bytes: the router in front of it tells the VIP that packets do not fit, and the server has to hear it, or
# the download stands still. Then the other way: nobody is at the backend's port, and the client has to hear that.
# Two workers, one queue: every second error goes from one to the other.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/icmp.yaml
T_NS="$T_NS far"
story_begin --workers 2
t_link client far0 far eth0 # the client is the router
t_in client ip link set far0 mtu 1300
t_in client ip addr add 10.9.0.1/24 dev far0
t_in client ip addr add fd00:9::1/64 dev far0 nodad
t_in client sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
t_in far ip addr add 10.9.0.2/24 dev eth0
t_in far ip addr add fd00:9::2/64 dev eth0 nodad
t_in far ip route add 10.1.0.0/24 via 10.9.0.1
t_in far ip -6 route add fd00:1::/64 via fd00:9::1
for n in 1 2 3; do
	# all of them answer by the box, not by the client's second link
	t_in "web$n" ip route replace 10.1.0.0/24 via 10.2.0.1
	t_in "web$n" ip route add 10.9.0.0/24 via 10.2.0.1
	t_in "web$n" ip -6 route replace fd00:1::/64 via fd00:2::1
	t_in "web$n" ip -6 route add fd00:9::/64 via fd00:2::1
done

n_errors=0
for to in "full4 10.1.0.80" "full6 fd00:1::80" "dnat4 10.1.0.81" "dnat6 fd00:1::81"; do
	read -r name vip <<<"$to"
	case $vip in *:*) vip="[$vip]" ;; esac
	t_in far curl -sS --max-time 20 -r 0-999999 -D "$T_DIR/$name.head" -o "$T_DIR/$name.big" "http://$vip/big" || true
	web=$(awk 'tolower($1) == "x-backend:" { print $2 }' "$T_DIR/$name.head" | tr -d '\r')
	expect "a download of 1 MB by $name from ${web:-nobody}" \
		cmp -n 1000000 "$T_DIR/$name.big" "$T_DIR/$web/www/big"
	was=$n_errors
	n_errors=$(counter icmp_errors)
	expect "$((n_errors - was)) errors were passed on for it" test "$n_errors" -gt "$was"
done

for to in "none4 10.1.0.80" "none6 fd00:1::80" "nobody4 10.1.0.81" "nobody6 fd00:1::81"; do
	read -r name vip <<<"$to"
	expect "$name: the client hears that nobody is there" t_in client $T_PYTHON - "$vip" <<-'EOF'
		import socket, sys
		for _ in range(4):  # both workers, and with each other
		    s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
		    s.settimeout(5)
		    s.connect((sys.argv[1], 9))
		    s.send(b"anybody?")
		    try:
		        sys.exit(f"an answer: {s.recv(100)}")
		    except ConnectionRefusedError:
		        pass
	EOF
done
expect "none was about an unknown flow or limited" test "$(counter icmp_no_flow)$(counter icmp_quote)$(counter icmp_limited)" = 000
