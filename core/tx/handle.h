/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The table of host functions that every module gets.
 */
#ifndef TX_HANDLE_H
#define TX_HANDLE_H

#include "merlon/module.h"

extern const struct merlon_host host_table;

#endif
