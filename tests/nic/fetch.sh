#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# usage: fetch.sh DIR
# Puts into DIR what the guests of test_nic.sh boot from, and installs none of it: Debian's kernel for clouds
# (DIR/kernel), and from backports the QEMU that has igb (DIR/qemu). What is there stays. What cannot be had
# leaves its reason in DIR/no-kernel, DIR/no-qemu, which the test reports as it skips.
set -eu
mkdir -p "$1"
DIR=$(realpath "$1")

unpack() { # unpack NAME PACKAGE… : downloads with APT's options in APT_OPTIONS
	local tmp
	tmp=$(mktemp -d "$DIR/tmp.XXXXXX")
	if (cd "$tmp" && apt-get "${APT_OPTIONS[@]}" download "${@:2}" >"$DIR/no-$1" 2>&1 \
		&& for d in *.deb; do dpkg-deb -x "$d" root; done >>"$DIR/no-$1" 2>&1); then
		mv "$tmp/root" "$DIR/$1"
		rm -f "$DIR/no-$1"
	fi
	rm -rf "$tmp"
}

kernel_name() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1; }

if [ ! -e "$DIR/kernel" ]; then
	APT_OPTIONS=(-q)
	[ -n "$(kernel_name)" ] || apt-get update >"$DIR/no-kernel" 2>&1 || true # a machine that has no lists yet
	name=$(kernel_name)
	if [ -n "$name" ]; then
		unpack kernel "$name"
	else
		echo "APT knows no linux-image-cloud-amd64" >>"$DIR/no-kernel"
	fi
fi

if [ ! -e "$DIR/qemu" ]; then
	# lists of its own: the system's choice of versions is not touched
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Origin: Debian' \
		'Component: main' | head -n 1)
	apt=$DIR/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${uri:-http://deb.debian.org/debian} bookworm-backports main" \
		>"$apt/sources.list"
	APT_OPTIONS=(-q -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache")
	if apt-get "${APT_OPTIONS[@]}" update >"$DIR/no-qemu" 2>&1; then
		unpack qemu qemu-system-x86/bookworm-backports qemu-system-common/bookworm-backports \
			qemu-system-data/bookworm-backports
	fi
	rm -rf "$apt"
fi
