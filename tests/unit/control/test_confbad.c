/* SPDX-License-Identifier: BSD-3-Clause */
/* test_confbad — what is said, and where, about a configuration with one mistake. */
#include "conftext.h"

#include <errno.h>

struct bad {
	const char *from, *to;
	const char *place;   /* LINE:COL */
	const char *message; /* part of it */
	const char *hint;    /* or NULL */
};

/* Service keys that came later than the rest. */
static const struct bad bad_services[] = {
	{"pool: web }", "pool: web, packets_per_second: 0 }", "16:84",
		"services.shop.packets_per_second must be 1..1000000000, got '0'", NULL},
	{"pool: web }", "pool: web, packets_per_second: 1000000001 }", "16:84",
		"packets_per_second must be 1..1000000000, got '1000000001'", NULL},
	{"pool: web }", "pool: web, packets_per_second: 10k }", "16:84",
		"packets_per_second must be 1..1000000000, got '10k'", NULL},
	{"pool: web }", "pool: web, packet_per_second: 9 }", "16:64",
		"unknown key 'packet_per_second' in services.shop",
		"did you mean 'packets_per_second'?"},
	{"mode: full-nat", "mode: full-nat, syn_cookies: 0", "16:66",
		"services.shop.syn_cookies must be 1..1000000000, got '0'", NULL},
	{"full-nat", "dsr-l2, syn_cookies: 100", "16:64",
		"services.shop.syn_cookies is only for full-nat and dnat: with dsr-l2", NULL},
	{"full-nat", "full-nat, proto: udp, syn_cookies: 100", "16:78",
		"services.shop.syn_cookies is only for tcp", NULL},
	{"full-nat", "full-nat, client_address: toa, syn_cookies: 100", "", NULL, NULL}, /* valid */
	{"full-nat", "dnat, syn_cookies: 100", "", NULL, NULL},                          /* valid */
	{"check: ok", "passive: { failures: 1001 }", "11:26",
		"pools.web.passive.failures must be 0..1000, got '1001'", NULL},
	{"check: ok", "passive: { rate: 50 }", "11:22", "pools.web.passive.rate must be", NULL},
	{"check: ok", "passive: { ejection: 1ms }", "11:26",
		"pools.web.passive.ejection must be a duration 1s..1h", NULL},
	{"check: ok", "passive: { faliures: 1 }", "11:16", "unknown key 'faliures'",
		"did you mean 'failures'?"},
	{"check: ok", "passive: {}", "", NULL, NULL}, /* valid */
	{"mode: full-nat", "mode: full-nat, on_backend_down: kill", "16:70",
		"services.shop.on_backend_down must be 'keep', 'move' or 'reset', got 'kill'",
		NULL},
};

static const struct bad bads[] = {
	{"version: 1\n", "", "1:1", "'version' is missing", NULL},
	{"version: 1", "version: 2", "1:10", "version must be 1..1, got '2'", NULL},
	{"checks:", "cheks:", "7:1", "unknown key 'cheks'", "did you mean 'checks'?"},
	{"pool: web }", "pool: web, timeout: 1s }", "16:64",
		"unknown key 'timeout' in services.shop",
		"did you mean 'timeouts'?"}, /* the longest schema */
	{"weight: 7", "weigth: 7", "14:45", "unknown key 'weigth' in pools.web.backends[1]",
		"did you mean 'weight'?"},
	{"weight: 7", "weight: 1001", "14:53",
		"pools.web.backends[1].weight must be 0..1000, got "
		"'1001'",
		NULL},
	{"check: ok", "check: okk", "11:12", "pools.web.check: there is no 'okk' in checks",
		"did you mean 'ok'?"},
	{"pool: web", "pool: wep", "16:59", "there is no 'wep' in pools", "did you mean 'web'?"},
	{"name: b", "name: a", "14:17", "pools.web has a backend 'a' already (line 13)", NULL},
	{"10.2.0.12", "10.2.0.300", "14:24", "must be an IPv4 or IPv6 address, got '10.2.0.300'",
		NULL},
	{"10.2.0.12", "10.2.0.1", "14:24", "it is a port's address of this box (line 5)", NULL},
	{"10.2.0.12", "\"fd00::1\"", "14:24", "mixes IPv4 and IPv6", NULL},
	{"10.2.0.12", "224.0.0.1", "14:24", "not an address a host can have", NULL},
	{"interval: 1s", "interval: 1", "8:31", "checks.ok.interval must be a duration 50ms..1h",
		NULL},
	{"interval: 1s", "interval: 1s, timeout: 2s", "8:44",
		"timeout must not be longer than its interval", NULL},
	{"type: http", "type: tcp, path: /x", "8:26", "is only for checks of type 'http'", NULL},
	{"type: http", "type: htp", "8:15",
		"must be 'tcp', 'http', 'memcached', 'redis', 'udp', 'icmp' or 'exec', got 'htp'",
		"did you mean 'http'?"},
	{"full-nat", "dsr-l3", "16:43", "must be 'full-nat', 'dsr-l2', 'ipip', 'gue' or 'dnat'",
		"did you mean 'dsr-l2'?"},
	{"  snat: [10.2.0.100-10.2.0.101]\n", "", "15:43", "needs an IPv4 address in network.snat",
		NULL},
	{"10.2.0.100-10.2.0.101", "10.2.0.100-10.2.3.101", "6:10",
		"there can be at most 64 addresses", NULL},
	{"10.2.0.100-10.2.0.101", "10.1.0.80", "16:16",
		"10.1.0.80 cannot be a VIP: it is a SNAT address already (line 6)", NULL},
	{"10.1.0.80, port: 80,", "\"fd00:1::80\", port: 80,", "16:46",
		"needs an IPv6 address in network.snat", NULL},
	{"port: 80, mode: full-nat", "port: 81, mode: gue", "13:41",
		"is gue on port 81, so its backend 'a' must have that port, not 80", NULL},
	{"mode: full-nat", "mode: full-nat, gue_port: 6080", "16:63",
		"services.shop.gue_port is only for mode 'gue'", NULL},
	{"mode: full-nat", "mode: gue, gue_port: 0", "16:58",
		"services.shop.gue_port must be 1..65535, got '0'", NULL},
	{"mode: full-nat", "mode: gue, gue_port: 5555, on_backend_down: move", "", NULL, NULL},
	{"10.1.0.80, port: 80, mode: full-nat", "\"fd00:1::80\", port: 80, mode: ipip", "", NULL,
		NULL}, /* valid */
	{"10.1.0.80, port: 80, mode: full-nat", "\"fd00:1::80\", port: 80, mode: dsr-l2", "16:60",
		"services.shop is IPv6, the backends of pools.web are IPv4, which only", NULL},
	{"mode: full-nat, pool: web }",
		"mode: dnat, pool: web }\n  also: { vip: 10.1.0.81, port: 80, mode: dnat, pool: web }",
		"17:55",
		"services.also and services.shop are dnat with a backend 10.2.0.11 port 80 in both",
		NULL},
	{"mode: full-nat, pool: web }",
		"mode: dnat, pool: web }\n  also: { vip: 10.1.0.81, port: 80, proto: udp, mode: dnat, pool: web }",
		"", NULL, NULL}, /* valid */
	{"10.1.0.1/24", "10.1.0.0/24", "4:26", "the network's or the broadcast address", NULL},
	{"10.1.0.1/24", "10.1.0.1/33", "4:26", "prefix length must be 1..32", NULL},
	{"10.1.0.1/24, ", "", "", NULL, NULL}, /* stays valid */
	{"south: { addresses: [10.2.0.1/24] }", "south: { addresses: [10.1.0.1/24] }", "5:26",
		"10.1.0.1 is a port's address already (line 4)", NULL},
	{"south: { addresses: [10.2.0.1/24] }",
		"south: { addresses: [10.2.0.1/24], gateways: [10.9.0.1] }", "5:51",
		"is on no network of network.ports.south", NULL},
	{"pool: web }", "pool: web, maglev_size: 100 }", "16:77", "must be a prime, got 100", NULL},
	{"pool: web }", "pool: web, scheduler: wlv }", "16:75",
		"must be 'maglev', 'wrr', 'rr', 'wlc', 'lc', 'p2c', 'sh' or 'rendezvous'",
		"did you mean 'wlc'?"},
	{"pool: web }", "pool: web, scheduler: wlc, hash: source }", "16:86",
		"services.shop.hash is only for schedulers that hash", NULL},
	{"pool: web }", "pool: web, scheduler: sh, hash: flow }", "16:85",
		"scheduler 'sh' hashes the source", NULL},
	{"pool: web }", "pool: web, hash: src }", "16:70",
		"services.shop.hash must be 'flow', 'source' or 'source-port', got 'src'", NULL},
	{"pool: web }", "pool: web, source_prefix: 32 }", "16:79",
		"source_prefix needs scheduler 'sh', or 'hash: source'", NULL},
	{"pool: web }", "pool: web, hash: source, source_prefix: 33 }", "16:93",
		"services.shop.source_prefix must be 1..32, got '33'", NULL},
	{"pool: web }", "pool: web, load_bound: 100% }", "16:76",
		"services.shop.load_bound must be 101%..1000%, got '100%'", NULL},
	{"pool: web }", "pool: web, load_bound: 125 }", "16:76", "must be 101%..1000%, got '125'",
		NULL},
	{"pool: web }", "pool: web, scheduler: lc, load_bound: 125% }", "16:91",
		"services.shop.load_bound is only for schedulers that hash", NULL},
	{"pool: web }", "pool: web, hash: source-port, source_prefix: 24, load_bound: 125% }", "",
		NULL, NULL}, /* valid */
	{"pool: web }", "pool: web, scheduler: sh, hash: source, source_prefix: 32 }", "", NULL,
		NULL}, /* valid */
	{"check: ok\n", "check: ok\n    slow_start: 500ms\n", "12:17",
		"pools.web.slow_start must be a duration 1s..1h", NULL},
	{"    check: ok\n", "    slow_start: 30s\n", "11:17", "pools.web.slow_start needs a check",
		NULL},
	{"pool: web }", "pool: web, max_connections: 0 }", "16:81",
		"services.shop.max_connections must be 1..1000000000, got '0'", NULL},
	{"check: ok\n", "check: ok\n    max_connections: many\n", "12:22",
		"pools.web.max_connections must be 1..1000000000, got 'many'", NULL},
	{"pool: web }", "pool: web, new_connections_per_second: 1.5 }", "16:92",
		"new_connections_per_second must be 1..1000000000, got '1.5'", NULL},
	{"pool: web }", "pool: web, source_rate: 1000001 }", "16:77",
		"services.shop.source_rate must be 1..1000000, got '1000001'", NULL},
	{"pool: web }", "pool: web, source_rate: 10, source_rate_prefix: 33 }", "16:101",
		"services.shop.source_rate_prefix must be 1..32, got '33'", NULL},
	{"pool: web }", "pool: web, insert_rate: 100 }", "16:77",
		"services.shop.insert_rate is only for dsr-l2, ipip and gue with", NULL},
	{"full-nat, pool: web }", "dsr-l2, pool: web, insert_rate: 100 }", "", NULL,
		NULL}, /* valid */
	{"full-nat, pool: web }", "dsr-l2, pool: web, scheduler: rr, insert_rate: 100 }", "16:90",
		"services.shop.insert_rate is only for dsr-l2, ipip and gue with", NULL},
	{"full-nat, pool: web }", "dsr-l2, pool: web, max_connections: 9, insert_rate: 100 }",
		"16:95", "without load_bound and max_connections", NULL},
	{"pool: web }", "pool: web, source_rate_prefix: 24 }", "16:84",
		"services.shop.source_rate_prefix needs a source_rate", NULL},
	{"mode: full-nat", "mode: full-nat, mode: dsr-l2", "16:53", "mode", NULL},
	{"shop: {", "shop: &x {", "16:", "anchor", NULL},
	{"shop: {", "shop: !!map {", "16:", "tag", NULL},
	{"  shop", "\tshop", "16:1", "a tab cannot indent", NULL},
};

/* Of checks. */
static const struct bad check_bads[] = {
	{"type: http", "type: memcached, host: x", "8:32",
		"checks.ok.host is only for checks of type", NULL},
	{"type: http", "type: memcached", "", NULL, NULL}, /* valid */
	{"type: http", "type: redis, expect: 200", "8:30",
		"checks.ok.expect is only for checks of type 'http' and 'udp'", NULL},
	{"type: http", "type: Redis", "8:15", "got 'Redis'", "did you mean 'redis'?"},
	{"type: http", "type: redis, port: 6379", "", NULL, NULL}, /* valid */
	{"type: http", "type: tcp, send: x", "8:26",
		"checks.ok.send is only for checks of type 'udp'", NULL},
	{"type: http", "type: udp, send: '\\0'", "8:26",
		"checks.ok.send: '\\0' is no escape; there are \\r \\n \\t \\\\ and \\xNN", NULL},
	{"type: http", "type: udp, expect: '\\x1'", "8:28", "checks.ok.expect: '\\x' is no escape",
		NULL},
	{"type: http", "type: udp, send: 'x\\'", "8:26", "checks.ok.send: '\\' is no escape", NULL},
	{"type: http", "type: udp, send: [x]", "8:26", "checks.ok.send must be text, got a list",
		NULL},
	{"type: http", "type: udp, send: \"\\r\\n\"", "8:26", "without control characters", NULL},
	{"type: http", "type: udp, send: '', expect: ''", "", NULL, NULL}, /* valid */
	{"type: http", "type: icmp, port: 7", "8:27",
		"checks.ok.port is only for checks of type other than 'icmp', which has no ports",
		NULL},
	{"type: http", "type: icmp, send: x", "8:27",
		"checks.ok.send is only for checks of type 'udp'", NULL},
	{"type: http", "type: icmp", "", NULL, NULL}, /* valid */
	{"type: http", "type: tcp, command: [/bin/true]", "8:29",
		"checks.ok.command is only for checks of type 'exec'", NULL},
	{"type: http", "type: exec", "8:3", "'command' is missing in checks.ok", NULL},
	{"type: http", "type: exec, command: /bin/true", "8:30",
		"checks.ok.command must be a list, got '/bin/true'", NULL},
	{"type: http", "type: exec, command: []", "8:30",
		"checks.ok.command must have 1..64 entries, got 0", NULL},
	{"type: http", "type: exec, command: [check, -v]", "8:31",
		"checks.ok.command[0] must be an absolute path, as nothing searches for it, got 'check'",
		NULL},
	{"type: http", "type: exec, command: [/bin/true, [x]]", "8:42",
		"checks.ok.command[1] must be text, got a list", NULL},
	{"type: http", "type: http, via: vip", "8:26",
		"checks.ok.via must be 'direct' or 'service', got 'vip'", NULL},
	{"type: http", "type: icmp, via: service", "8:26",
		"checks.ok.via is only for checks of type other than 'icmp' and 'exec'", NULL},
	{"type: http", "type: tcp, via: service, port: 81", "8:40",
		"checks.ok.port is not for 'via: service', which probes the service's", NULL},
	{"type: http", "type: tcp, via: service", "11:12",
		"pools.web.check: checks.ok is 'via: service', and no service with the pool is "
		"dsr-l2, ipip or gue and tcp; 'via: direct' probes",
		NULL},
	/* an IPv6 VIP that no address of ours could ask */
	{", \"fd00:1::1/64\"] }\n"
	 "    south: { addresses: [10.2.0.1/24] }\n"
	 "  snat: [10.2.0.100-10.2.0.101]\n"
	 "checks:\n"
	 "  ok: { type: http, interval: 1s }\n"
	 "pools:\n"
	 "  web:\n"
	 "    check: ok\n"
	 "    backends:\n"
	 "      - { name: a, ip: 10.2.0.11, port: 80 }\n"
	 "      - { name: b, ip: 10.2.0.12, port: 80, weight: 7 }\n"
	 "services:\n"
	 "  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, ",
		"] }\n"
		"    south: { addresses: [10.2.0.1/24] }\n"
		"checks:\n"
		"  ok: { type: http, via: service }\n"
		"pools:\n"
		"  web:\n"
		"    check: ok\n"
		"    backends:\n"
		"      - { name: a, ip: 10.2.0.11, port: 80 }\n"
		"services:\n"
		"  shop: { vip: \"fd00:1::80\", port: 80, mode: gue, ",
		"10:12",
		"pools.web.check: checks.ok is 'via: service', and no port has an IPv6 address that "
		"services.shop could be asked from",
		NULL},
	{"type: http", "type: tcp, via: direct, port: 81", "", NULL, NULL}, /* valid */
	{"type: http", "type: exec, port: 7, command: [/bin/true, '', a b]", "", NULL,
		NULL}, /* valid */
};

/* Of panic thresholds. */
static const struct bad panic_bads[] = {
	{"pool: web }", "pool: web, panic_threshold: 50 }", "16:81",
		"services.shop.panic_threshold must be 0%..100%, got '50'", NULL},
	{"pool: web }", "pool: web, panic_threshold: 101% }", "16:81",
		"must be 0%..100%, got '101%'", NULL},
	{"    check: ok\n    backends:\n      - { name: a, ip: 10.2.0.11, port: 80 }\n      - { name: b, ip: "
	 "10.2.0.12, port: 80, weight: 7 }\nservices:\n  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, "
	 "pool: web }",
		"    backends: [{ name: a, ip: 10.2.0.11 }]\nservices:\n"
		"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web, panic_threshold: 5% }",
		"13:81", "services.shop.panic_threshold needs a check of pools.web", NULL},
	{"pool: web }", "pool: web, panic_threshold: 0% }", "", NULL, NULL},   /* valid */
	{"pool: web }", "pool: web, panic_threshold: 100% }", "", NULL, NULL}, /* valid */
};

/* Of allow and deny lists. */
static const struct bad bad_lists[] = {
	{"pool: web }", "pool: web, deny: [0.0.0.0/0, 10.0.0.0/8], allow: [10.1.2.3] }", "", NULL,
		NULL}, /* valid */
	{"pool: web }", "pool: web, allow: 10.0.0.0/8 }", "16:71",
		"services.shop.allow must be a list, got '10.0.0.0/8'", NULL},
	{"pool: web }", "pool: web, deny: [] }", "16:70", "services.shop.deny is empty", NULL},
	{"pool: web }", "pool: web, deny: [10.0.0.0/8, [10.1.0.0/16]] }", "16:83",
		"services.shop.deny[1] must be ADDRESS or ADDRESS/LENGTH, got a list", NULL},
	{"pool: web }", "pool: web, allow: [10.0.0.0/33] }", "16:72",
		"services.shop.allow[0]: the prefix length of 10.0.0.0 must be 0...32, got '33'",
		NULL},
	{"pool: web }", "pool: web, allow: [10.0.0.1, 10.1.2.3/24] }", "16:82",
		"services.shop.allow[1]: 10.1.2.3/24 has bits beyond its prefix: for the network "
		"write 10.1.2.0/24",
		NULL},
	{"pool: web }", "pool: web, deny: [shop.example] }", "16:71",
		"services.shop.deny[0]: 'shop.example' is not an IP address", NULL},
	{"pool: web }", "pool: web, deny: [\"::/0\"] }", "16:71",
		"services.shop.deny[0]: ::/0 is IPv6, the service's clients are IPv4", NULL},
	{"pool: web }", "pool: web, allow: [10.0.0.0/8, 10.1.0.1], deny: [10.1.0.1/32] }", "16:102",
		"services.shop.deny[0]: 10.1.0.1 is in 'allow' already (line 16)", NULL},
	{"pool: web }", "pool: web, deny: [10.0.0.0/8], allow: [10.0.0.0/8] }", "16:92",
		"services.shop.allow[0]: 10.0.0.0/8 is in 'deny' already (line 16)", NULL},
};

/* The service routes by server ids of 2 bytes; those of its backends. */
#define QUIC_FROM \
	"      - { name: a, ip: 10.2.0.11, port: 80 }\n" \
	"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7 }\n" \
	"services:\n" \
	"  shop: { vip: 10.1.0.80, port: 80,"
#define QUIC_TO(a, b) \
	"      - { name: a, ip: 10.2.0.11, port: 80, quic_server_id: " a " }\n" \
	"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7, quic_server_id: " b " }\n" \
	"services:\n" \
	"  shop: { vip: 10.1.0.80, port: 80, proto: udp, quic: { server_id_length: 2 },"

static const struct bad quic_bads[] = {
	{"mode: full-nat", "mode: full-nat, quic: { server_id_length: 2 }", "16:59",
		"services.shop.quic is only for 'proto: udp'", NULL},
	{"mode: full-nat", "mode: full-nat, proto: udp, quic: { server_id_length: 2 }", "16:71",
		"services.shop has quic, so its backend 'a' of pools.web needs a quic_server_id",
		NULL},
	{"mode: full-nat", "mode: full-nat, proto: udp, quic: { server_id_length: 16 }", "16:91",
		"services.shop.quic.server_id_length must be 1..15, got '16'", NULL},
	{"mode: full-nat", "mode: full-nat, proto: udp, quic: { server_id_offset: 1 }", "16:71",
		"server_id_length", NULL},
	{"mode: full-nat",
		"mode: full-nat, proto: udp, quic: { server_id_length: 15, server_id_offset: 6 }",
		"16:113", "services.shop.quic.server_id_offset must be 0..5, got '6'", NULL},
	{"mode: full-nat",
		"mode: full-nat, proto: udp, quic: { server_id_length: 4, server_id_offset: 0, config_id: 0 }",
		"16:112", "services.shop.quic.server_id_offset must be 1..16, got '0'", NULL},
	{"mode: full-nat",
		"mode: full-nat, proto: udp, quic: { server_id_length: 4, config_id: 7 }", "16:105",
		"services.shop.quic.config_id must be 0..6, got '7'", NULL},
	{"port: 80 }", "port: 80, quic_server_id: 0a0 }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal, two digits each, got '0a0'",
		NULL},
	{"port: 80 }", "port: 80, quic_server_id: 0g }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal, two digits each, got '0g'",
		NULL},
	{"port: 80 }", "port: 80, quic_server_id: 000102030405060708090a0b0c0d0e0f }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal", NULL},
	{"port: 80 }", "port: 80, quic_server_id: \"\" }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal", NULL},
	{"port: 80 }", "port: 80, quic_server_id: 0A0f }", "", NULL, NULL}, /* no service asks */
	{QUIC_FROM, QUIC_TO("0a01", "0a02"), "", NULL, NULL},               /* valid */
	{QUIC_FROM, QUIC_TO("0a01", "0A01"), "14:72",
		"services.shop: backend 'b' has the quic_server_id of 'a' (line 13)", NULL},
	{QUIC_FROM, QUIC_TO("0a01", "0a0203"), "14:72",
		"services.shop has server ids of 2 bytes, the quic_server_id of its backend 'b' has 3",
		NULL},
};

/* mss, client_address */
static const struct bad bad_edits[] = {
	{"mode: full-nat", "mode: full-nat, mss: 87", "16:58",
		"services.shop.mss must be 88..65535, got '87'", NULL},
	{"mode: full-nat", "mode: dsr-l2, mss: 1400", "16:56",
		"services.shop.mss is only for full-nat and dnat: with dsr-l2 the backend's SYN+ACK "
		"does not pass here",
		NULL},
	{"mode: full-nat", "proto: udp, mode: full-nat, mss: 1400", "16:70",
		"services.shop.mss is only for tcp", NULL},
	{"mode: full-nat", "mode: dnat, mss: 1400", "", NULL, NULL}, /* valid */
	{"mode: full-nat", "mode: full-nat, client_address: proxy-v1", "16:69",
		"services.shop.client_address must be 'none', 'toa' or 'proxy-v2', got 'proxy-v1'",
		"did you mean 'proxy-v2'?"},
	{"mode: full-nat", "mode: dnat, client_address: toa", "16:65",
		"services.shop.client_address is only for full-nat: with dnat the backends see",
		NULL},
	{"mode: full-nat", "proto: udp, mode: full-nat, client_address: toa", "16:81",
		"services.shop.client_address: 'toa' is a TCP option, the service is udp", NULL},
	{"mode: full-nat", "proto: udp, mode: full-nat, client_address: proxy-v2", "", NULL,
		NULL}, /* valid */
	{"mode: full-nat", "mode: full-nat, mss: 1400, client_address: toa", "", NULL,
		NULL}, /* valid */
};

/* How many of the rows are answered in another way than they say. */
static unsigned count_wrong(const struct bad *bad, size_t n)
{
	unsigned n_wrong = 0;

	for (size_t i = 0; i < n; i++) {
		const struct bad *b = &bad[i];
		struct confreport *r = NULL;
		struct conf *c = NULL;
		char *text = conftext_edited(b->from, b->to), where[32];
		const int rc = conftext_load(&c, &r, text);

		if (b->message == NULL) {
			assert_int_equal(rc, 0);
			confreport_destroy(&r);
			conf_destroy(&c);
			free(text);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_null(c);
		assert_true(r->n_errors >= 1);
		snprintf(where, sizeof(where), "x.yaml:%s", b->place);
		if (strstr(r->items[0].text, where) != r->items[0].text
			|| strstr(r->items[0].message, b->message) == NULL
			|| (b->hint != NULL
				&& (r->items[0].hint == NULL
					|| strcmp(r->items[0].hint, b->hint) != 0)))
			n_wrong += fprintf(stderr, "'%s' for '%s': expected %s %s, got %s", b->to,
					   b->from, b->place, b->message, r->items[0].text)
				> 0;
		confreport_destroy(&r);
		free(text);
	}
	return n_wrong;
}

static void every_mistake_is_located(void **state)
{
	assert_int_equal(count_wrong(bads, sizeof(bads) / sizeof(bads[0])), 0);
	assert_int_equal(
		count_wrong(bad_services, sizeof(bad_services) / sizeof(bad_services[0])), 0);
	assert_int_equal(count_wrong(check_bads, sizeof(check_bads) / sizeof(check_bads[0])), 0);
	assert_int_equal(count_wrong(panic_bads, sizeof(panic_bads) / sizeof(panic_bads[0])), 0);
	assert_int_equal(count_wrong(quic_bads, sizeof(quic_bads) / sizeof(quic_bads[0])), 0);
	assert_int_equal(count_wrong(bad_lists, sizeof(bad_lists) / sizeof(bad_lists[0])), 0);
	assert_int_equal(count_wrong(bad_edits, sizeof(bad_edits) / sizeof(bad_edits[0])), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_located),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
