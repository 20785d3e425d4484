# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# guest — a virtual machine with Debian's kernel, pairs of NICs and the host's files, read only. Its processor is
# emulated (TCG), so it needs nothing of its host and is slow; it is one of Intel with AVX2 and no AVX-512, x86-64-v3. QEMU's own
# default is an AMD whose local timer stops when it sleeps (erratum 400): the kernel then lives on the HPET's interrupts through
# the IOMMU, and on a busy host one that is lost stops the guest for good. Sourced after story.sh.
#
# The other ends of pair K are the taps nicK-n and nicK-s in namespace mr. One pair at a time is plugged: each of its
# taps is bridged to that side's veth.

G_FILES=$T_BUILD/../build-nic # see fetch.sh
G_QEMU=(qemu-system-x86_64)
G_CPU=Haswell-noTSX
G_MODULES="virtio_pci virtiofs vfio_pci vfio_iommu_type1 tun virtio_rng"
G_LIMIT=120      # seconds for an answer of the guest
G_BOOT_LIMIT=120 # and for its first one: it comes after 10 to 30
G_NICS=()        # QEMU's options for them

# All that a guest loads of DPDK: to link its 190 drivers takes an emulated processor seconds at each start.
G_DRIVERS="bus_pci bus_vdev mempool_ring net_e1000 net_virtio net_vmxnet3"

g_require() { # skips the test when a guest cannot be had
	[ -x "$T_BUILD/tests/nic/init" ] || skip "this build has no guest: instrumented programs cannot be its init"
	command -v qemu-system-x86_64 >/dev/null || skip "no QEMU: package qemu-system-x86"
	[ -x /usr/lib/qemu/virtiofsd ] || skip "no /usr/lib/qemu/virtiofsd: it is in Debian 12's package qemu-system-common"
	[ -e "$G_FILES/kernel" ] || skip "no kernel for a guest: $(g_reason kernel)"
	[ -c /dev/net/tun ] || skip "no /dev/net/tun"
}

g_require_new() { # the same for the newer QEMU, which is then used
	[ -e "$G_FILES/qemu" ] || skip "no QEMU of backports, and Debian 12's has no igb: $(g_reason qemu)"
	G_QEMU=("$G_FILES/qemu/usr/bin/qemu-system-x86_64" -L "$G_FILES/qemu/usr/share/qemu" -L /usr/share/seabios
		-L /usr/share/qemu)
}

g_reason() { tail -n 1 "$G_FILES/no-$1" 2>/dev/null || echo "run tests/nic/fetch.sh build-nic"; }

g_bridges() { # one for each side, to its veth
	local side
	t_in mr sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	# where bridges pass frames to iptables, that drops bad ones before we see them
	t_in mr sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
	for side in n s; do
		t_in mr ip link add "br-$side" type bridge mcast_snooping 0
		t_in mr ip link set "mr-$side" master "br-$side"
		t_in mr ip link set "br-$side" up
	done
}

g_nic() { # g_nic K QUEUES MODEL[,OPTION…] : pair K of the guest to boot; all pairs have the same two MAC addresses
	local k side options=vnet_hdr tap_options=""
	if [ "$2" != 1 ]; then
		options="multi_queue vnet_hdr"
		tap_options=,queues=$2,vhost=off
	fi
	for side in n s; do
		k=$(g_index "$1" $side)
		# shellcheck disable=SC2086
		t_in mr ip tuntap add dev "nic$1-$side" mode tap $options
		G_NICS+=(-device "pcie-root-port,id=port$k,chassis=$k,slot=$k"
			-netdev "tap,id=tap$k,ifname=nic$1-$side,script=no,downscript=no$tap_options"
			-device "$3,id=nic$1-$side,netdev=tap$k,bus=port$k,romfile=,mac=52:54:00:00:00:0$((2 - k % 2))")
	done
}

g_index() { # of a NIC, from 1 on
	[ "$2" = n ] && echo $((2 * $1 + 1)) || echo $((2 * $1 + 2))
}

g_address() { printf '0000:%02x:00.0' "$(g_index "$@")"; } # g_address K n|s : on PCI, each behind a root port of its own

g_plug() { # g_plug K : this pair, and no other
	local tap
	for tap in $(t_in mr sh -c 'ls -d /sys/class/net/nic*-*' | sed 's|.*/||'); do
		if [ "${tap%-*}" = "nic$1" ]; then
			t_in mr ip link set "$tap" master "br-${tap#*-}" up
		else
			t_in mr ip link set "$tap" down
		fi
	done
}

# Now and then an emulated kernel stands still before it has run anything, idle and with its timers going: that says nothing of what is
# tested. So a start that takes this many times as long as usual is told, and made once more.
g_boot() { # returns when the guest runs commands. Its /mnt is T_DIR
	# shellcheck disable=SC2086
	$T_PYTHON "$T_TOOLS/../nic/initrd.py" "$G_FILES/kernel" "$T_DIR/initrd" "$T_BUILD/tests/nic/init" $G_MODULES
	g_start && return 0
	echo "the guest does not start: once more. It said:" && cat "$T_DIR/guest.log"
	t_stop qemu
	t_stop virtiofsd-root
	t_stop virtiofsd-share
	rm -f "$T_DIR/guest.log" "$T_DIR"/virtiofsd-*.log "$T_DIR"/*.vfs "$T_DIR"/0.*
	mv "$T_DIR/qemu.log" "$T_DIR/qemu-first.log"
	g_start || fail "the guest does not start"
}

g_start() {
	g_share root / always
	g_share share "$T_DIR" none
	echo 0 >"$T_DIR/guest.n"
	t_spawn qemu mr timeout --foreground 1100 "${G_QEMU[@]}" -accel tcg,thread=multi -cpu "$G_CPU" -smp 2 -m 1024 \
		-machine q35,memory-backend=mem -object memory-backend-memfd,id=mem,size=1024M,share=on \
		-nodefaults -no-user-config -nographic -serial stdio -no-reboot \
		-monitor "unix:$T_DIR/monitor,server=on,wait=off" \
		-kernel "$(echo "$G_FILES"/kernel/boot/vmlinuz-*)" -initrd "$T_DIR/initrd" -device intel-iommu,intremap=on \
		-chardev "socket,id=v0,path=$T_DIR/root.vfs" -device vhost-user-fs-pci,chardev=v0,tag=root \
		-chardev "socket,id=v1,path=$T_DIR/share.vfs" -device vhost-user-fs-pci,chardev=v1,tag=share \
		-append "console=ttyS0 quiet panic=-1 unknown_nmi_panic mitigations=off nokaslr tsc=reliable no_timer_check intel_iommu=on iommu=pt hugepages=192" \
		"${G_NICS[@]}"
	G_LIMIT=$G_BOOT_LIMIT g true || return 1
	# shellcheck disable=SC2016
	g sh -ec 'd=$1; shift; chmod 755 /run; mkdir /run/all /run/some; mount --bind $d /run/all
		for f; do
			ln -s /run/all/librte_$f.so.23.0 /run/some/librte_$f.so.23.0
			ln -s librte_$f.so.23.0 /run/some/librte_$f.so.23
		done
		mount --bind /run/some $d' sh "$(echo /usr/lib/*/dpdk/pmds-23.0)" $G_DRIVERS
}

g_share() { # g_share TAG DIRECTORY CACHE : a directory of the host for the guest
	t_spawn "virtiofsd-$1" mr /usr/lib/qemu/virtiofsd --socket-path="$T_DIR/$1.vfs" -o "source=$2" -o "cache=$3" \
		-o sandbox=chroot
	# its socket is there before it listens
	t_wait 60 "virtiofsd of $2" grep -q "Waiting for vhost-user socket" "$T_DIR/virtiofsd-$1.log"
}

g() { # g COMMAND… : in the guest; output and exit status are the command's, or 125: there is no answer
	local n rc
	[ ! -e "$T_DIR/guest.log" ] || return 125 # it was not there a moment ago
	n=$(<"$T_DIR/guest.n")
	echo $((n + 1)) >"$T_DIR/guest.n"
	echo "${*@Q}" >"$T_DIR/$n.tmp"
	mv "$T_DIR/$n.tmp" "$T_DIR/$n.sh"
	if ! t_wait "$G_LIMIT" "the guest's answer to: $*" g_has_answered "$n" || [ ! -s "$T_DIR/$n.rc" ]; then
		g_tell "$*" >"$T_DIR/guest.log" 2>&1
		return 125
	fi
	rc=$(<"$T_DIR/$n.rc")
	cat "$T_DIR/$n.out"
	rm "$T_DIR/$n".*
	return "$rc"
}

g_has_answered() { [ -s "$T_DIR/$1.rc" ] || ! kill -0 "$(t_pid qemu)"; }

g_tell() { # what became of a guest that does not answer; its kernel's stacks are on the console, in qemu.log
	local name
	echo "no answer to: $1"
	for name in qemu virtiofsd-root virtiofsd-share; do
		kill -0 "$(t_pid $name)" 2>/dev/null && echo "$name runs" || echo "$name has ended"
	done
	[ ! -s "$T_DIR/alive" ] || echo "up for $(<"$T_DIR/alive") s, as it said $(($(date +%s) - $(stat -c %Y "$T_DIR/alive"))) s ago"
	echo "load of the host: $(</proc/loadavg)"
	kill -0 "$(t_pid qemu)" 2>/dev/null || return 0
	# where its processors are, now and a little later: they wait, run in a circle, or do not run
	g_monitor "info status" "info registers -a" "info registers -a" | tr -d '\r' | grep -E '^(VM status|CPU#|[RE]IP)' || true
	g_monitor nmi >/dev/null || true
	t_wait 20 "the guest's last words" grep -q "end Kernel panic" "$T_DIR/qemu.log" || true
}

g_spawn() { # g_spawn NAME COMMAND… : in the background of the guest, output to T_DIR/NAME.log
	rm -f "$T_DIR/$1.rc"
	# shellcheck disable=SC2016 # the guest's shell
	g bash -c 'name=$1; shift; { setsid "$@" & echo $! >/run/$name.pid; wait $!; echo $? >/mnt/$name.rc; } \
		>>/mnt/$name.log 2>&1 </dev/null &' sh "$@"
}

g_stop() { # g_stop NAME : ends what g_spawn NAME began; fails unless it ends well
	# shellcheck disable=SC2016
	g bash -c 'kill -TERM $(cat /run/$1.pid)' sh "$1"
	t_wait 60 "$1 to end" test -s "$T_DIR/$1.rc"
	expect "$1 ends well" test "$(cat "$T_DIR/$1.rc")" = 0
}

g_bind() { # g_bind PCI-ADDRESS… : to vfio-pci
	# shellcheck disable=SC2016
	g sh -ec 'for a; do
		d=/sys/bus/pci/devices/$a
		[ ! -e $d/driver ] || echo $a >$d/driver/unbind
		echo vfio-pci >$d/driver_override
		echo $a >/sys/bus/pci/drivers_probe
		[ "$(basename $(readlink $d/driver))" = vfio-pci ]
	done' sh "$@"
}

g_monitor() { # g_monitor COMMAND… : of QEMU; what it answers
	$T_PYTHON - "$T_DIR/monitor" "$@" <<-EOF2
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.settimeout(10)
		def until_prompt():
		    data = b""
		    while not data.endswith(b"(qemu) "):
		        data += s.recv(4096)
		    return data.decode()
		until_prompt()
		for command in sys.argv[2:]:
		    s.sendall(command.encode() + b"\n")
		    print(until_prompt())
	EOF2
}
