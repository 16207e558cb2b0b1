# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# shellcheck shell=bash
# What Merlon is built and tested with, and how it gets onto a machine. Sourced by tools/quickstart and tools/check.

packages_build="gcc make autoconf automake libtool pkg-config libevent-dev libssl-dev libconfig-dev libjansson-dev
	libc-ares-dev libhiredis-dev libcunit1-dev ca-certificates tzdata"
export packages_build

# Which of the packages are not installed?
packages_missing() {
	local p
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || echo "$p"
	done
}

# Installs the packages that are missing: by apt, as root or with sudo. Services among them do not start by themselves:
# a policy that forbids it stands in their way meanwhile, unless the machine has one of its own.
packages_install() {
	local missing sudo='' policy=/usr/sbin/policy-rc.d mine=''
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "This is no Debian or relative of it. Please install by hand what these packages hold, then run" >&2
		echo "./autogen.sh, ./configure and make: $*" >&2
		return 1
	fi
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		sudo=$(command -v sudo) || {
			echo "These packages are missing, and there is neither root nor sudo here to install them:" >&2
			# shellcheck disable=SC2086
			echo $missing >&2
			return 1
		}
	fi
	# shellcheck disable=SC2086
	echo "installing" $missing
	if [ ! -e "$policy" ]; then
		mine=yes
		printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
		$sudo chmod 755 "$policy"
	fi
	local r=0
	$sudo apt-get update -qq >/dev/null || r=$?
	# shellcheck disable=SC2086
	[ "$r" -ne 0 ] || $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
		>/dev/null || r=$?
	[ -z "$mine" ] || $sudo rm -f "$policy"
	return "$r"
}
