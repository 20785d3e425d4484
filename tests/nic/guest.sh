# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# guest — a virtual machine with Debian's kernel, two NICs and the host's files, read only. Its processor is
# emulated (TCG), so it needs nothing of its host and is slow; it has no AVX-512. Sourced after story.sh.
#
# The NICs' other ends are the taps nic-n and nic-s in namespace mr, each bridged to that side's veth.

G_FILES=$T_BUILD/../build-nic # see fetch.sh
G_QEMU=(qemu-system-x86_64)
G_MODULES="virtio_pci virtiofs vfio_pci vfio_iommu_type1 tun virtio_rng"

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

g_taps() { # g_taps QUEUES : the other ends of the NICs
	local side options=vnet_hdr
	[ "$1" = 1 ] || options="multi_queue vnet_hdr"
	t_in mr sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	# where bridges pass frames to iptables, that drops bad ones before we see them
	t_in mr sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
	for side in n s; do
		# shellcheck disable=SC2086
		t_in mr ip tuntap add dev "nic-$side" mode tap $options
		t_in mr ip link add "br-$side" type bridge mcast_snooping 0
		t_in mr ip link set "nic-$side" master "br-$side"
		t_in mr ip link set "mr-$side" master "br-$side"
		t_in mr ip link set "nic-$side" up
		t_in mr ip link set "br-$side" up
	done
}

g_boot() { # g_boot QEMU-OPTION… : with the NICs; returns when the guest runs commands. Its /mnt is T_DIR
	# shellcheck disable=SC2086
	$T_PYTHON "$T_TOOLS/../nic/initrd.py" "$G_FILES/kernel" "$T_DIR/initrd" "$T_BUILD/tests/nic/init" $G_MODULES
	g_share root / always
	g_share share "$T_DIR" none
	t_spawn qemu mr timeout --foreground 240 "${G_QEMU[@]}" -accel tcg,thread=multi -cpu max -smp 2 -m 1024 \
		-machine q35,memory-backend=mem -object memory-backend-memfd,id=mem,size=1024M,share=on \
		-nodefaults -no-user-config -nographic -serial stdio -no-reboot \
		-monitor "unix:$T_DIR/monitor,server=on,wait=off" \
		-kernel "$(echo "$G_FILES"/kernel/boot/vmlinuz-*)" -initrd "$T_DIR/initrd" -device intel-iommu,intremap=on \
		-chardev "socket,id=v0,path=$T_DIR/root.vfs" -device vhost-user-fs-pci,chardev=v0,tag=root \
		-chardev "socket,id=v1,path=$T_DIR/share.vfs" -device vhost-user-fs-pci,chardev=v1,tag=share \
		-append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable nohz=off intel_iommu=on iommu=pt hugepages=192" \
		"$@"
	echo 0 >"$T_DIR/guest.n"
	g true || fail "the guest does not start"
}

g_share() { # g_share TAG DIRECTORY CACHE : a directory of the host for the guest
	t_spawn "virtiofsd-$1" mr /usr/lib/qemu/virtiofsd --socket-path="$T_DIR/$1.vfs" -o "source=$2" -o "cache=$3" \
		-o sandbox=chroot
	# its socket is there before it listens
	t_wait 20 "virtiofsd of $2" grep -q "Waiting for vhost-user socket" "$T_DIR/virtiofsd-$1.log"
}

g() { # g COMMAND… : in the guest; output and exit status are the command's, or 125: there is no answer
	local n rc
	n=$(cat "$T_DIR/guest.n")
	echo $((n + 1)) >"$T_DIR/guest.n"
	echo "${*@Q}" >"$T_DIR/$n.tmp"
	mv "$T_DIR/$n.tmp" "$T_DIR/$n.sh"
	t_wait 60 "the guest's answer to: $*" g_has_answered "$n" || return 125
	rc=$(cat "$T_DIR/$n.rc") || return 125
	cat "$T_DIR/$n.out"
	rm "$T_DIR/$n".*
	return "$rc"
}

g_has_answered() { [ -s "$T_DIR/$1.rc" ] || ! kill -0 "$(t_pid qemu)"; }

g_spawn() { # g_spawn NAME COMMAND… : in the background of the guest, output to T_DIR/NAME.log
	rm -f "$T_DIR/$1.rc"
	# shellcheck disable=SC2016 # the guest's shell
	g bash -c 'name=$1; shift; { setsid "$@" & echo $! >/run/$name.pid; wait $!; echo $? >/mnt/$name.rc; } \
		>>/mnt/$name.log 2>&1 </dev/null &' sh "$@"
}

g_stop() { # g_stop NAME : ends what g_spawn NAME began; fails unless it ends well
	# shellcheck disable=SC2016
	g bash -c 'kill -TERM $(cat /run/$1.pid)' sh "$1"
	t_wait 30 "$1 to end" test -s "$T_DIR/$1.rc"
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

g_monitor() { # g_monitor COMMAND : of QEMU
	$T_PYTHON - "$T_DIR/monitor" "$1" <<-EOF2
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.settimeout(10)
		def until_prompt():
		    data = b""
		    while not data.endswith(b"(qemu) "):
		        data += s.recv(4096)
		until_prompt()
		s.sendall(sys.argv[2].encode() + b"\n")
		until_prompt()
	EOF2
}
