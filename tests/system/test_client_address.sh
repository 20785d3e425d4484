#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# PROXY headers with real clients and servers over both families: nginx says whom it talks to, what is sent and fetched
# arrives whole, and a UDP server reads the header of each datagram. And TCP options, which are read off the wire.
. "$(dirname "$0")/story.sh"
CONFIG=$T_TOOLS/client_address.yaml

for n in 1 2 3; do # beside the usual server, which is the checks' and the next one's
	mkdir -p "$T_DIR/proxy$n"
	cat >"$T_DIR/proxy$n/nginx.conf" <<-EOF
		daemon off;
		master_process off;
		user root;
		pid $T_DIR/proxy$n/nginx.pid;
		error_log $T_DIR/proxy$n/error.log;
		events { worker_connections 1024; }
		http {
		    access_log off;
		    client_body_temp_path $T_DIR/proxy$n/body;
		    proxy_temp_path $T_DIR/proxy$n/proxy;
		    fastcgi_temp_path $T_DIR/proxy$n/fastcgi;
		    uwsgi_temp_path $T_DIR/proxy$n/uwsgi;
		    scgi_temp_path $T_DIR/proxy$n/scgi;
		    dav_methods PUT;
		    server {
		        listen 8081 proxy_protocol;
		        listen [::]:8081 proxy_protocol;
		        client_max_body_size 100m;
		        location = / {
		            return 200 "\$proxy_protocol_addr \$proxy_protocol_port \$proxy_protocol_server_addr \$proxy_protocol_server_port\n";
		        }
		        location /files/ { root $T_DIR; }
		        location = /big { root $T_DIR/web$n/www; }
		    }
		}
	EOF
done
mkdir "$T_DIR/files"
story_begin
for n in 1 2 3; do
	t_spawn "proxy$n" "web$n" nginx -p "$T_DIR/proxy$n" -c "$T_DIR/proxy$n/nginx.conf" -e "$T_DIR/proxy$n/error.log"
	t_spawn "udp$n" "web$n" $T_PYTHON "$T_TOOLS/udp_proxy.py" "web$n" 8081
done
for n in 1 2 3; do
	t_wait 30 "nginx $n" grep -q ":1F91 .* 0A " "/proc/$(t_pid "proxy$n")/net/tcp6"
	t_wait 30 "the UDP server $n" grep -q :1F91 "/proc/$(t_pid "udp$n")/net/udp6"
done
expect "shown" test "$(t_cli -o json service show tcp4 \
	| t_json '"%s %s" % (a["items"][0]["client_address"], a["items"][0]["mss"])')" = "proxy-v2 1400"
head -c 5000000 /dev/urandom >"$T_DIR/up"

for to in "4 10.1.0.80 10.1.0.10" "6 fd00:1::80 fd00:1::10"; do
	read -r family vip client <<<"$to"
	url=http://$([ "$family" = 6 ] && echo "[$vip]" || echo "$vip")
	say "TCP over IPv$family"
	for port in 5${family}001 5${family}002 5${family}003; do
		expect "the server sees $client" test "$(t_curl --local-port "$port" "$url/")" = "$client $port $vip 80"
	done
	t_curl -T "$T_DIR/up" "$url/files/up$family"
	expect "an upload of 5 MB is what was sent" cmp "$T_DIR/up" "$T_DIR/files/up$family"
	t_curl -o "$T_DIR/down" "$url/files/up$family"
	expect "and comes back so" cmp "$T_DIR/up" "$T_DIR/down"

	say "UDP over IPv$family"
	t_in client $T_PYTHON "$T_TOOLS/udp_ask.py" "$vip" 53 30 3 900 >"$T_DIR/udp.json"
	expect "none lost, changed or moved" test "$(t_report udp 'a["lost"] + a["wrong"] + a["moved"]')" = 0
	for n in 1 2 3; do
		expect "web$n sees $client" grep -qx "client $client" "$T_DIR/udp$n.log"
	done
done
expect "no datagram came without" test "$(grep -c 'no header' "$T_DIR"/udp?.log | grep -vc ':0$')" = 0
expect "headers were counted" test "$(counter proxy_headers)" -gt 180
expect "the SYNs of tcp4, and all SYN+ACKs of both" test "$(counter mss_clamped)" -ge 15
expect "nothing was too big" test "$(counter too_big)$(counter too_big_replies)$(counter no_headroom)" = 000

say "clients that come in by SYN cookie"
was=$(counter syn_cookies_accepted)
for to in "4 10.1.0.82 10.1.0.10" "6 fd00:1::82 fd00:1::10"; do
	read -r family vip client <<<"$to"
	url=http://$([ "$family" = 6 ] && echo "[$vip]" || echo "$vip")
	for port in 5${family}011 5${family}012 5${family}013; do
		expect "the server sees $client" test "$(t_curl --local-port "$port" "$url/")" = "$client $port $vip 80"
	done
	t_curl -T "$T_DIR/up" "$url/files/cookie$family"
	expect "an upload of 5 MB is what was sent" cmp "$T_DIR/up" "$T_DIR/files/cookie$family"
	t_curl -o "$T_DIR/down" "$url/files/cookie$family"
	expect "and comes back so" cmp "$T_DIR/up" "$T_DIR/down"
done
expect "$(($(counter syn_cookies_accepted) - was)) came in by cookie" test "$(counter syn_cookies_accepted)" -gt $((was + 4))

for to in "4 10.1.0.83 10.1.0.10" "6 fd00:1::83 fd00:1::10"; do
	read -r family vip client <<<"$to"
	url=http://$([ "$family" = 6 ] && echo "[$vip]" || echo "$vip")
	say "a TCP option over IPv$family"
	for n in 1 2 3; do
		t_spawn "toa$family$n" "web$n" $T_PYTHON "$T_TOOLS/toa_seen.py" 8080
		t_wait 30 "the listener in web$n" grep -q ready "$T_DIR/toa$family$n.log"
	done
	for n in 1 2 3; do
		t_curl --local-port "4${family}00$n" -o /dev/null "$url/"
		told() { cat "$T_DIR"/toa"$family"?.log | grep -qx "$client 4${family}00$n"; }
		expect "the server is told $client port 4${family}00$n" t_wait 10 "the option" told
	done
	t_curl --max-time 30 -T "$T_DIR/up" "$url/put" | grep -q ok || fail "an upload of 5 MB"
	t_curl --max-time 30 -o "$T_DIR/down" -D "$T_DIR/head" "$url/big"
	backend=$(tr -d '\r' <"$T_DIR/head" | awk 'tolower($1) == "x-backend:" {print $2}')
	expect "a download is what $backend has" cmp "$T_DIR/down" "$T_DIR/$backend/www/big"
done
expect "options were counted, none was left out" test "$(counter toa_options)/$(counter toa_skipped)" != 0/0

say "a flow goes on as it began"
t_download long tcp4 10.1.0.80 80
sed 's/, client_address: proxy-v2//' "$CONFIG" >"$T_DIR/without.yaml"
t_cli config apply "$T_DIR/without.yaml" >/dev/null
t_wait 10 "the change to be in force" t_in_sync
t_curl http://10.1.0.80/ 2>/dev/null && fail "a server that wants a header was content without"
expect "a download of 24 MB, of a service that has no headers any more" t_download_end long
