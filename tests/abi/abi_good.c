/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/* The golden module's source, built against the header of today; its bytes are what the loader's
 * tests damage. */
#define GOLDEN_NAME "abi_good"
#include "golden/golden_1_0.c"
