#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# The layout of the module ABI against those recorded with each minor version. `check_abi.sh --record` writes the record
# of the header's minor, when that is released; a record that exists is never changed within a major.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
module_h=$here/../../include/merlon/module.h
minor=$(sed -n 's/^#define MERLON_ABI_MINOR //p' "$module_h")
rules=$here/grows-at-the-end.abignore
for tool in abidw abidiff; do
	command -v $tool > /dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
[ "$(uname -m)" = x86_64 ] || { echo "skipped: the record is of x86_64"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# anchor FOLDER OUT: the tables of FOLDER/merlon/module.h
anchor() {
	${CC:-cc} -std=c11 -g -O0 -fPIC -shared -fvisibility=hidden -I "$1" -o "$2" "$here/anchor.c"
}
# header NAME SED: a copy of the header, changed
header() {
	mkdir -p "$tmp/$1/merlon"
	sed "$2" "$module_h" > "$tmp/$1/merlon/module.h"
	cmp -s "$module_h" "$tmp/$1/merlon/module.h" && { echo "$1: nothing was changed"; exit 1; }
	anchor "$tmp/$1" "$tmp/$1.so"
}
# The suppression alone is not enough: abidiff 2.2 applies it to a table into which nothing was inserted, too, and then
# says nothing of members that changed in place.
same_as() {
	abidiff "$1" "$2" > "$tmp/report" 2>&1 && return 0
	abidiff --suppressions "$rules" "$1" "$2" > "$tmp/short" 2>&1 || return 1
	! grep -Eq "offset changed|name changed|deletion|underlying type .* changed|type 'function type" "$tmp/report"
}

same() {
	for record in "$here"/module-1.*.abi; do
		same_as "$record" "$1" || return 1
	done
}

anchor "$here/../../include" "$tmp/now.so"
if [ "${1:-}" = --record ]; then
	record=$here/module-1.$minor.abi
	[ ! -e "$record" ] || { echo "$record is there already"; exit 1; }
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs "$tmp/now.so" | sed "s| path='[^']*'| path='anchor.c'|" > "$record"
	exit 0
fi
same "$tmp/now.so" || { cat "$tmp/report"; echo "the module ABI differs from the recorded one"; exit 1; }

# The check itself: growing at the end passes, everything else is found.
header grown 's|^	                        uint32_t count);|&\n	int32_t (*later)(merlon_tx *tx);|'
same "$tmp/grown.so" || { cat "$tmp/report"; echo "growth at the end of merlon_host is refused"; exit 1; }
header middle 's|^	uint64_t (\*now)(int32_t clock);|	int32_t (*early)(merlon_tx *tx);\n&|'
same "$tmp/middle.so" && { echo "a member in the middle of merlon_host was not found"; exit 1; }
header wider 's|^	uint32_t slot_size;|	uint64_t slot_size;|'
same "$tmp/wider.so" && { echo "a wider member of merlon_module was not found"; exit 1; }
header signed 's|^	uint64_t (\*now)(int32_t clock);|	uint64_t (*now)(int64_t clock);|'
same "$tmp/signed.so" && { echo "another argument of now() was not found"; exit 1; }
header newest 's|^	uint64_t (\*record_read)(merlon_ctx \*ctx,|	uint64_t (*record_read)(merlon_sink *ctx,|'
[ ! -e "$here/module-1.2.abi" ] || { same "$tmp/newest.so" && { echo "another argument of record_read() was not found"; exit 1; }; }
header gone 's|^	uint32_t (\*cfg_count).*||'
same "$tmp/gone.so" && { echo "a member that is gone was not found"; exit 1; }
header fixed 's|^	struct merlon_str value;|&\n	uint32_t flags;|'
same "$tmp/fixed.so" && { echo "growth of merlon_header, which stands in arrays, was not found"; exit 1; }
header fact 's|^	uint32_t flags; /\* MERLON_FACT_\* \*/|&\n	uint64_t more;|'
[ ! -e "$here/module-1.2.abi" ] || { same "$tmp/fact.so" && { echo "growth of merlon_fact, which stands in arrays, was not found"; exit 1; }; }
exit 0
