/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Networks in CIDR form and the addresses in them. IPv4 stands as its mapped form (::ffff:a.b.c.d),
 * so one compare serves both and a mapped peer address meets the rule that was written for IPv4.
 */
#ifndef COMMON_CIDR_H
#define COMMON_CIDR_H

#include "common/text.h"

struct cidr {
	uint8_t addr[16];
	uint8_t bits; /* of the 128 */
};
/* "10.0.0.0/8", "2001:db8::/32", or an address alone. -1: another form, or bits set behind the
 * prefix. */
int cidr_parse(struct merlon_str s, struct cidr *out);
/* The peer's address as text, without a port. -1: none (a unix socket). */
int cidr_addr(struct merlon_str s, uint8_t addr[16]);
bool cidr_has(const struct cidr *c, const uint8_t addr[16]);
bool cidr_is_v4(const uint8_t addr[16]);

#endif
