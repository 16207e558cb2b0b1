/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The fake host's options: a small reader of the configuration's grammar and the typed getters over
 * it.
 */
#ifndef COMMON_FAKECFG_H
#define COMMON_FAKECFG_H

#include "common/fakehost.h"

int32_t fakecfg_get(const merlon_cfg *cfg, const char *key, struct merlon_val *out);
int32_t fakecfg_rate(const merlon_cfg *cfg, const char *key, int64_t *count, int64_t *window_ns);
uint32_t fakecfg_count(const merlon_cfg *cfg, const char *key);
const merlon_cfg *fakecfg_at(const merlon_cfg *cfg, const char *key, uint32_t i);
struct merlon_str fakecfg_key(const merlon_cfg *cfg, uint32_t i);
int32_t fakecfg_where(const merlon_cfg *cfg, const char *key, struct merlon_str *file,
                      uint32_t *line);
void fakecfg_error(const merlon_cfg *cfg, const char *key, struct merlon_str text);
void fakecfg_file_error(const merlon_cfg *cfg, const char *key, uint32_t line,
                        struct merlon_str text);

#endif
