/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The model catalogue by name: exact ids by hash, globs by the bytes they begin with, so that ten
 * thousand entries cost a request no more than ten. Belongs to a generation and points into its
 * configuration.
 */
#ifndef TX_MODELS_H
#define TX_MODELS_H

#include "conf/conf.h"

struct models;
struct models *models_new(const struct conf *c);
void models_free(struct models *m);
/* Exact, else the longest glob that matches, of equally long ones the first; NULL: none. */
const struct conf_model *models_find(const struct models *m, struct str name);

#endif
