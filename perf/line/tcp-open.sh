# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
# Connections a second: each is opened, asks once, and is closed. Seven segments on the wire for a request.
line_about="memcached over TCP: a connection opened, one get of 32 bytes, closed; 10,000 keys, 8,192 connections at a time"
line_config() {
	cat <<-EOT
		version: 1
		network: { ports: { p: { addresses: [10.1.0.1/16] } } }
		caches: { hot: { memory: 256MB } }
		services:
		  line: { kind: cache, vip: 10.1.0.80, port: 11211, cache: hot }
	EOT
}
line_dataplane=(--cache-memory 512 --conns 1024 --conns6 1024 --tcp-conns 65536 --tcp-buffers 65536)
line_generator=(cache-tcp --once --target 10.1.0.80:11211 --client 10.1.128.0/20 --keys 10000 --flows 8192 --load-rate 20k --rate-max 2M --deadline-ms 3)
line_repeat=1 # after each loss answers are waited for, and connections opened again
