# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Lookups alone, all of them hits, as in path/cache/ of the micro-benchmarks.
line_about="memcached over UDP: gets of 1,000,000 keys by Zipf 0.99, values of 32 bytes"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		caches: { hot: { memory: 256MB } }
		services:
		  line: { kind: cache, vip: 10.1.0.80, port: 11211, proto: udp, cache: hot, allow: [10.1.0.0/16], reply_rate: 4000000KB }
	EOT
}
line_dataplane=(--cache-memory 512 --conns 1024 --conns6 1024)
line_generator=(cache-udp --target 10.1.0.80:11211 --client 10.1.128.0/24 --keys 1000000 --load-rate 400k)
