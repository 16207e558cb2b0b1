/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Networks: parsed at create, compared for each request without allocation.
 */
#include "common/cidr.h"

#include <arpa/inet.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool cidr_is_v4(const uint8_t addr[16])
{
	return memcmp(addr, mapped, sizeof(mapped)) == 0;
}

int cidr_addr(struct merlon_str s, uint8_t addr[16])
{
	char z[INET6_ADDRSTRLEN];

	if (s.len == 0 || s.len >= sizeof(z) || memchr(s.ptr, '\0', s.len))
		return -1;
	memcpy(z, s.ptr, s.len);
	z[s.len] = '\0';
	if (inet_pton(AF_INET6, z, addr) == 1)
		return 0;
	memcpy(addr, mapped, sizeof(mapped));
	return inet_pton(AF_INET, z, addr + 12) == 1 ? 0 : -1;
}

/* The prefix length after the slash: 1 to 3 digits without a leading zero; -1: another form. */
static int prefix(struct merlon_str s, int most)
{
	int v = 0;

	if (s.len == 0 || s.len > 3 || (s.len > 1 && s.ptr[0] == '0'))
		return -1;
	for (uint64_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return -1;
		v = v * 10 + (s.ptr[i] - '0');
	}
	return v <= most ? v : -1;
}

static bool clear_behind(const struct cidr *c)
{
	for (unsigned i = c->bits; i < 128; i++) {
		if (c->addr[i / 8] & (0x80 >> i % 8))
			return false;
	}
	return true;
}

int cidr_parse(struct merlon_str s, struct cidr *out)
{
	const char *slash = s.len > 0 ? memchr(s.ptr, '/', s.len) : NULL;
	struct merlon_str host = s;

	if (slash)
		host.len = (uint64_t)(slash - s.ptr);
	if (cidr_addr(host, out->addr) != 0)
		return -1;
	/* Written with dots, its prefix counts from the dots' first bit. */
	bool v4 = !memchr(host.ptr, ':', host.len);
	int bits = v4 ? 32 : 128;
	if (slash)
		bits = prefix((struct merlon_str){slash + 1, s.len - host.len - 1}, bits);
	if (bits < 0)
		return -1;
	out->bits = (uint8_t)(v4 ? bits + 96 : bits);
	return clear_behind(out) ? 0 : -1;
}

bool cidr_has(const struct cidr *c, const uint8_t addr[16])
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (memcmp(c->addr, addr, whole) != 0)
		return false;
	return rest == 0 || ((c->addr[whole] ^ addr[whole]) & (uint8_t)(0xff00 >> rest)) == 0;
}
