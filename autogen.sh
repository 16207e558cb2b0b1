#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
set -e
cd "$(dirname "$0")"
mkdir -p m4 build-aux
exec autoreconf -fi
