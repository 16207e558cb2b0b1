#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# Every module built here exports merlon_module_v1 and nothing else. Run in the top build folder.
set -eu
seen=0
for so in modules/*/.libs/*.so tests/abi/.libs/*.so; do
	[ -f "$so" ] || continue
	seen=$((seen + 1))
	names=$(nm -D --defined-only "$so" | awk '{ print $NF }')
	[ "$names" = merlon_module_v1 ] || { echo "$so exports: $names"; exit 1; }
done
echo "$seen modules"
[ "$seen" -gt 0 ]
