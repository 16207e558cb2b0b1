/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What modules read of requests and options byte by byte: API keys, networks, times, globs, UTF-8.
 */
#include "common/apikey.h"
#include "common/cidr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(struct merlon_str s)
{
	if (apikey_valid(s.ptr, s.len) && (s.len != APIKEY_LEN || !apikey_shaped(s.ptr, s.len) ||
	                                   !apikey_is_id(s.ptr + 4, APIKEY_ID)))
		abort();
}

static void check_address(struct merlon_str s)
{
	struct cidr c;
	uint8_t addr[16];

	if (cidr_addr(s, addr) == 0 && (cidr_parse(s, &c) != 0 || !cidr_has(&c, addr)))
		abort(); /* an address is a network of one */
	if (cidr_parse(s, &c) == 0 && !cidr_has(&c, c.addr))
		abort();
}

static void check_time(struct merlon_str s)
{
	char text[TXT_RFC3339_LEN];
	int64_t us, again;

	if (txt_rfc3339_parse(s, &us) != 0 || us < 0)
		return;
	txt_rfc3339(us, text);
	if (txt_rfc3339_parse((struct merlon_str){text, sizeof(text)}, &again) != 0)
		abort();
	if (again != us && us <= INT64_C(253402300799999999))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* At its exact size, so that reading beyond is noticed. */
	char *copy = malloc(size ? size : 1);
	struct merlon_str s = {copy, size};

	if (size)
		memcpy(copy, data, size);
	check_key(s);
	check_address(s);
	check_time(s);
	if (size <= 256 && !txt_is_glob(s) && !txt_glob(s, s))
		abort();
	for (size_t at = 0, n; at < size; at += n) {
		n = txt_utf8_len(copy + at, size - at);
		if (n > 4 || n > size - at)
			abort();
		n += n == 0;
	}
	free(copy);
	return 0;
}
