/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a name in a client certificate must look like before it may be compared to anything. Names
 * are counted: a NUL in one is a byte like any other, and a reason to refuse it.
 */
#ifndef AUTH_MTLS_NAMES_H
#define AUTH_MTLS_NAMES_H

#include "common/text.h"

#define NAME_SPIFFE_MAX 2048
#define NAME_DNS_MAX 253
#define NAME_CN_MAX 256

/* NULL, or the reason why it is no name. All of them refuse control bytes. */
const char *name_clean(struct merlon_str name);
/* A SPIFFE ID of a workload; *domain: its trust domain. */
const char *name_spiffe(struct merlon_str id, struct merlon_str *domain);
const char *name_trust_domain(struct merlon_str domain);
/* out: the name in lower case. */
const char *name_dns(struct merlon_str name, char out[NAME_DNS_MAX]);
const char *name_cn(struct merlon_str name);
/* Whether a URI has the scheme spiffe, however it is written. */
bool name_is_spiffe(struct merlon_str uri);

#endif
