# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Sixteen requests at a time on each connection, as clients with pipelines send them.
line_about="memcached over TCP: gets of 1,000,000 keys by Zipf 0.99, values of 32 bytes, 10,000 connections, sixteen at a time"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		caches: { hot: { memory: 256MB } }
		services:
		  line: { kind: cache, vip: 10.1.0.80, port: 11211, cache: hot }
	EOT
}
line_dataplane=(--cache-memory 512 --conns 1024 --conns6 1024 --tcp-conns 16384 --tcp-buffers 65536)
line_generator=(cache-tcp --target 10.1.0.80:11211 --client 10.1.128.0/20 --keys 1000000 --load-rate 400k --flows 10000 --depth 16 --rate-max 8M --deadline-ms 3)
line_repeat=1 # after each loss answers are waited for, and connections opened again
