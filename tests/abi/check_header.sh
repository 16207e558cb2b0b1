#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# The module header in every dialect it promises, alone and with MERLON_MODULE() used, without a warning.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
warn="-Wall -Wextra -Wpedantic -Wshadow -Wundef -Wmissing-declarations -Werror"
done=0

cat > "$tmp/m.c" <<'EOF'
#include <merlon/module.h>
static const struct merlon_host *H;
static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	(void)inst;
	(void)w;
	(void)tx;
	return MERLON_HAS(H, log) && group == MERLON_AUTH ? MERLON_IGNORE : MERLON_ERROR;
}
static const struct merlon_module module = {
	sizeof(struct merlon_module), MERLON_ABI_MAJOR, MERLON_ABI_MINOR, 0, 0, 0, MERLON_AUTH,
	MERLON_BIT(MERLON_IGNORE), 0, sizeof(struct merlon_option), 0, "m", "1", "x", "x", NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, check, NULL, NULL, NULL, NULL, NULL, NULL};
MERLON_MODULE(module, H, 0, 0, MERLON_AUTH)
EOF
cp "$tmp/m.c" "$tmp/m.cc"

# one FILE COMPILER DIALECT
one() {
	command -v "${2%% *}" > /dev/null || { echo "skipped: $2"; return 0; }
	# shellcheck disable=SC2086
	$2 -std=$3 $warn -fPIC -shared -fvisibility=hidden -Wl,-z,defs -I "$here/../../include" -o "$tmp/m.so" "$1"
	n=$(nm -D --defined-only "$tmp/m.so" | grep -c ' merlon_module_v1$') || true
	all=$(nm -D --defined-only "$tmp/m.so" | wc -l)
	[ "$n $all" = "1 1" ] || { echo "$2 $3: $all symbols are exported"; exit 1; }
	readelf -SW "$tmp/m.so" | grep -q '\.note\.merlon .* A ' || { echo "$2 $3: the note is not allocated"; exit 1; }
	done=$((done + 1))
}
for dialect in c99 c11 c17 gnu11; do
	one "$tmp/m.c" "${CC:-cc}" $dialect
	one "$tmp/m.c" clang $dialect
	one "$tmp/m.c" clang-14 $dialect
done
for dialect in c++17 c++20; do
	one "$tmp/m.cc" "${CXX:-g++}" $dialect
	one "$tmp/m.cc" clang++ $dialect
done
[ "$done" -gt 0 ]
