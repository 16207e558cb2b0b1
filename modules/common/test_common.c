/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What modules share: globs, UTF-8, points in time, networks, the form of API keys, the table.
 */
#include "common/apikey.h"
#include "common/cidr.h"
#include "common/sha.h"
#include "common/window.h"

#include "unit/unit.h"

static void a_bearer_token_is_what_stands_behind_the_scheme(void)
{
	static const char *const none[] = {"",          "Bearer",    "Bearer ",
	                                   "Bearer \t", "Bearerx y", "Basic eDp5",
	                                   " Bearer x", "Bearer=x",  "Beare\x12 x"};
	static const char *const some[] = {"Bearer x.y", "bEARER\tx.y", "Bearer   x.y \t"};
	struct merlon_str token;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CU_ASSERT_FALSE(txt_bearer(txt_of(none[i]), &token));
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		CU_ASSERT_TRUE_FATAL(txt_bearer(txt_of(some[i]), &token));
		CU_ASSERT_TRUE(txt_eq(token, TXT("x.y")));
	}
}

static void a_line_takes_a_part_of_long_names_and_no_more_than_it_holds(void)
{
	char name[TXT_PUT_MAX + 1];
	struct txt_line line = {.n = 0};

	memset(name, 'x', sizeof(name));
	txt_put(&line, TXT("not "));
	txt_put(&line, (struct merlon_str){NULL, 0});
	txt_put(&line, (struct merlon_str){name, sizeof(name)});
	CU_ASSERT_EQUAL(line.n, 4 + TXT_PUT_MAX);
	CU_ASSERT_EQUAL(memcmp(line.p, "not xx", 6), 0);
	for (int i = 0; i < 9; i++)
		txt_put(&line, (struct merlon_str){name, sizeof(name)});
	CU_ASSERT_EQUAL(line.n, sizeof(line.p));
}

static void controls_are_not_plain(void)
{
	CU_ASSERT_TRUE(txt_is_plain(TXT("")));
	CU_ASSERT_TRUE(txt_is_plain(TXT(" ~\xc3\xa4\xff")));
	CU_ASSERT_FALSE(txt_is_plain(TXT("a\0b")));
	CU_ASSERT_FALSE(txt_is_plain(TXT("a\x1f")));
	CU_ASSERT_FALSE(txt_is_plain(TXT("\x7f")));
}

static bool glob(const char *p, const char *t)
{
	return txt_glob(txt_of(p), txt_of(t));
}

static void globs_match_whole_texts(void)
{
	CU_ASSERT_TRUE(glob("", ""));
	CU_ASSERT_TRUE(glob("*", ""));
	CU_ASSERT_TRUE(glob("churn-*", "churn-"));
	CU_ASSERT_TRUE(glob("churn-*", "churn-v2"));
	CU_ASSERT_TRUE(glob("*a*b*", "xxaxxbxx"));
	CU_ASSERT_TRUE(glob("a?c", "abc"));
	CU_ASSERT_TRUE(glob("*ab", "aab"));
	CU_ASSERT_FALSE(glob("churn-*", "xchurn-1"));
	CU_ASSERT_FALSE(glob("a?c", "ac"));
	CU_ASSERT_FALSE(glob("", "a"));
	CU_ASSERT_FALSE(glob("a", "A"));
	CU_ASSERT_FALSE(glob("[ab]", "a"));
}

static void utf8_is_as_in_rfc3629(void)
{
	CU_ASSERT_EQUAL(txt_utf8_len("a", 1), 1);
	CU_ASSERT_EQUAL(txt_utf8_len("\xc3\xa9", 2), 2);
	CU_ASSERT_EQUAL(txt_utf8_len("\xe2\x82\xac", 3), 3);
	CU_ASSERT_EQUAL(txt_utf8_len("\xf0\x9f\x98\x80", 4), 4);
	CU_ASSERT_EQUAL(txt_utf8_len("\xf4\x8f\xbf\xbf", 4), 4);
	CU_ASSERT_EQUAL(txt_utf8_len("\xc0\x80", 2), 0);     /* overlong */
	CU_ASSERT_EQUAL(txt_utf8_len("\xe0\x9f\xbf", 3), 0); /* overlong */
	CU_ASSERT_EQUAL(txt_utf8_len("\xed\xa0\x80", 3), 0); /* surrogate */
	CU_ASSERT_EQUAL(txt_utf8_len("\xf4\x90\x80\x80", 4), 0);
	CU_ASSERT_EQUAL(txt_utf8_len("\x80", 1), 0);
	CU_ASSERT_EQUAL(txt_utf8_len("\xc3", 1), 0); /* cut */
	CU_ASSERT_EQUAL(txt_utf8_len("\xe2\x82", 2), 0);
	CU_ASSERT_EQUAL(txt_utf8_len("", 0), 0);
}

static void times_are_read(void)
{
	static const struct {
		const char *text;
		int64_t us; /* -1: refused */
	} table[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"2026-11-22T06:45:33.123456Z", INT64_C(1795329933123456)},
	    {"2026-11-22T08:15:33.1234567+01:30", INT64_C(1795329933123456)},
	    {"2024-02-29T00:00:00Z", INT64_C(1709164800000000)},
	    {"2000-03-01t00:00:00z", INT64_C(951868800000000)},
	    {"2023-02-29T00:00:00Z", -1},
	    {"1900-02-29T00:00:00Z", -1},
	    {"2023-13-01T00:00:00Z", -1},
	    {"2023-04-31T00:00:00Z", -1},
	    {"2023-01-01T24:00:00Z", -1},
	    {"2023-01-01T00:60:00Z", -1},
	    {"2023-01-01T00:00:00", -1},
	    {"2023-01-01T00:00:00.Z", -1},
	    {"2023-01-01T00:00:00.1234567890Z", -1},
	    {"2023-01-01T00:00:00+1:00", -1},
	    {"2023-01-01T00:00:00Zx", -1},
	    {"2023-01-01", -1},
	    {"", -1},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int64_t us = -2;
		int r = txt_rfc3339_parse(txt_of(table[i].text), &us);
		CU_ASSERT_EQUAL(r, table[i].us == -1 ? -1 : 0);
		if (table[i].us != -1)
			CU_ASSERT_EQUAL(us, table[i].us);
	}
}

static void times_round_trip(void)
{
	char text[TXT_RFC3339_LEN];
	const int64_t step = INT64_C(86399123457) * 17;

	for (int64_t us = 0; us < INT64_C(253402300799999999); us += step * 1000) {
		int64_t back = -1;
		txt_rfc3339(us, text);
		CU_ASSERT_EQUAL(txt_rfc3339_parse((struct merlon_str){text, sizeof(text)}, &back),
		                0);
		CU_ASSERT_EQUAL(back, us);
	}
	txt_rfc3339(INT64_C(1795329933123456), text);
	CU_ASSERT_EQUAL(memcmp(text, "2026-11-22T06:45:33.123456Z", TXT_RFC3339_LEN), 0);
}

static bool has(const char *net, const char *addr)
{
	struct cidr c;
	uint8_t a[16];

	CU_ASSERT_EQUAL(cidr_parse(txt_of(net), &c), 0);
	CU_ASSERT_EQUAL(cidr_addr(txt_of(addr), a), 0);
	return cidr_has(&c, a);
}

static void networks_hold_their_addresses(void)
{
	CU_ASSERT_TRUE(has("10.0.0.0/8", "10.255.0.1"));
	CU_ASSERT_FALSE(has("10.0.0.0/8", "11.0.0.1"));
	CU_ASSERT_TRUE(has("0.0.0.0/0", "203.0.113.9"));
	CU_ASSERT_FALSE(has("0.0.0.0/0", "2001:db8::1"));
	CU_ASSERT_TRUE(has("192.0.2.128/25", "192.0.2.129"));
	CU_ASSERT_FALSE(has("192.0.2.128/25", "192.0.2.127"));
	CU_ASSERT_TRUE(has("192.0.2.7", "192.0.2.7"));
	CU_ASSERT_FALSE(has("192.0.2.7", "192.0.2.6"));
	CU_ASSERT_TRUE(has("10.0.0.0/8", "::ffff:10.1.2.3"));
	CU_ASSERT_TRUE(has("2001:db8::/33", "2001:db8:7fff::1"));
	CU_ASSERT_FALSE(has("2001:db8::/33", "2001:db8:8000::1"));
	CU_ASSERT_TRUE(has("::/0", "10.0.0.1")); /* all there is */
	CU_ASSERT_TRUE(has("::1", "::1"));
}

static void bad_networks_are_refused(void)
{
	static const char *const bad[] = {"",
	                                  "10.0.0.0/33",
	                                  "10.0.0.0/",
	                                  "10.0.0.1/8",
	                                  "10.0.0/8",
	                                  "10.0.0.0/08",
	                                  "::/129",
	                                  "::1/64",
	                                  "10.0.0.0/-1",
	                                  "example.com",
	                                  "10.0.0.0/8 ",
	                                  "/8",
	                                  "10.0.0.0/1000"};
	struct cidr c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(cidr_parse(txt_of(bad[i]), &c), -1);
}

static void keys_are_made_and_recognised(void)
{
	char key[APIKEY_LEN], other[APIKEY_LEN];
	unsigned seen[256] = {0};

	for (int i = 0; i < 500; i++) {
		CU_ASSERT_EQUAL(apikey_new(NULL, key), 0);
		CU_ASSERT_TRUE(apikey_valid(key, sizeof(key)));
		for (size_t at = 13; at < 45; at++)
			seen[(unsigned char)key[at]]++;
	}
	/* 16,000 digits over 62: 258 each on average; a digit under 150 or over 400 is no accident.
	 */
	for (int c = 0; c < 256; c++) {
		bool digit =
		    (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		CU_ASSERT_TRUE(digit ? seen[c] > 150 && seen[c] < 400 : seen[c] == 0);
	}
	CU_ASSERT_EQUAL(apikey_new(key + 4, other), 0);
	CU_ASSERT_EQUAL(memcmp(key, other, 13), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(key, other, sizeof(key)), 0);
}

static void every_other_byte_breaks_the_crc(void)
{
	char key[APIKEY_LEN];

	CU_ASSERT_EQUAL(apikey_new(NULL, key), 0);
	for (size_t at = 0; at < sizeof(key); at++) {
		char was = key[at];
		for (int c = 0; c < 256; c++) {
			key[at] = (char)c;
			if ((char)c != was)
				CU_ASSERT_FALSE(apikey_valid(key, sizeof(key)));
		}
		key[at] = was;
	}
	for (size_t n = 0; n < sizeof(key); n++)
		CU_ASSERT_FALSE(apikey_valid(key, n));
}

static void the_crc_is_the_published_one(void)
{
	/* CRC-32 of "mrl_00000000_" and 32 zeros is 0xc04cf627 (zlib), in base 62 with leading
	 * zeros. */
	CU_ASSERT_TRUE(
	    apikey_valid("mrl_00000000_000000000000000000000000000000003WL60N", APIKEY_LEN));
}

static void the_table_finds_what_was_put(void)
{
	struct txt_map m;
	char keys[2000][8];

	txt_map_init(&m, 0);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		CU_ASSERT_EQUAL(txt_map_put(&m, txt_of(keys[i]), i), TXT_MAP_NONE);
	}
	for (uint32_t i = 0; i < 2000; i++)
		CU_ASSERT_EQUAL(txt_map_get(&m, txt_of(keys[i])), i);
	CU_ASSERT_EQUAL(txt_map_put(&m, TXT("k7"), 99), 7);
	CU_ASSERT_EQUAL(txt_map_get(&m, TXT("k2000")), TXT_MAP_NONE);
	txt_map_free(&m);
	CU_ASSERT_EQUAL(txt_map_get(&m, TXT("k1")), TXT_MAP_NONE);
}

static void suggestions_are_near(void)
{
	static const char *const words[] = {"read", "write", "predict"};

	CU_ASSERT_STRING_EQUAL(txt_suggest(TXT("predcit"), words, 3), "predict");
	CU_ASSERT_STRING_EQUAL(txt_suggest(TXT("raed"), words, 3), "read");
	CU_ASSERT_PTR_NULL(txt_suggest(TXT("elephant"), words, 3));
}

static void sha_is_sha256(void)
{
	uint8_t sum[SHA_LEN];
	char hex[SHA_HEX];
	struct sha *s;

	CU_ASSERT_EQUAL_FATAL(sha_setup(), 0);
	s = sha_new();
	for (int i = 0; i < 2; i++) { /* a context is reused */
		CU_ASSERT_EQUAL(sha_sum(s, TXT("abc"), sum), 0);
		txt_hex(sum, SHA_LEN, hex);
		CU_ASSERT_EQUAL(memcmp(hex,
		                       "ba7816bf8f01cfea414140de5dae2223"
		                       "b00361a396177a9cb410ff61f20015ad",
		                       SHA_HEX),
		                0);
	}
	sha_free(s);
}

/* ---- windows ---- */
static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

#define LOG 20000
static uint64_t admitted[LOG];

/* How many of the admitted lie in (now - length, now]. */
static uint64_t in_window(size_t n, uint64_t length, uint64_t now)
{
	uint64_t k = 0;

	while (k < n && now - admitted[n - 1 - k] < length)
		k++;
	return k;
}

static void no_interval_holds_more_than_the_limit(void)
{
	for (uint64_t run = 1; run <= 200; run++) {
		struct window w = {0};
		seed = run;
		uint64_t length = WINDOW_LEAST + rnd(60) * UINT64_C(1000000007);
		uint64_t limit = 1 + rnd(40), now = rnd(UINT64_C(1) << 60), worst = 0;
		size_t n = 0;
		for (int i = 0; i < 2000 && n < LOG; i++) {
			now += rnd(4) == 0 ? rnd(length) : rnd(length / (limit * 2) + 1);
			window_at(&w, length, now);
			if (!window_fits(&w, limit, 1))
				continue;
			window_add(&w, 1);
			admitted[n++] = now;
			uint64_t in = in_window(n, length, now);
			worst = in > worst ? in : worst;
		}
		CU_ASSERT_TRUE(worst <= limit);
		CU_ASSERT_TRUE(worst > 0);
	}
}

static void a_steady_client_below_15_16_is_never_refused(void)
{
	for (uint64_t limit = 1; limit <= 300; limit += limit < 20 ? 1 : 37) {
		const uint64_t length = UINT64_C(60000000000);
		uint64_t width = length / 15, period = 16 * width / limit + 1;
		for (uint64_t start = 0; start < width; start += width / 7) {
			struct window w = {0};
			unsigned refused = 0;
			for (uint64_t i = 0; i < 5 * limit + 5; i++) {
				window_at(&w, length, start + i * period);
				refused += !window_fits(&w, limit, 1);
				window_add(&w, 1);
			}
			CU_ASSERT_EQUAL(refused, 0);
		}
	}
}

static void the_wait_is_exact(void)
{
	for (uint64_t run = 1; run <= 300; run++) {
		struct window w = {0};
		seed = run;
		uint64_t length = WINDOW_LEAST + rnd(1000000000), limit = 1 + rnd(10);
		uint64_t now = rnd(UINT64_C(1) << 50);
		for (int i = 0; i < 200; i++) {
			now += rnd(length / limit + 1);
			window_at(&w, length, now);
			uint64_t wait = window_wait(&w, limit, 1, now);
			CU_ASSERT_EQUAL(wait == 0, window_fits(&w, limit, 1));
			if (wait == 0) {
				window_add(&w, 1);
				continue;
			}
			struct window before = w, after = w;
			window_at(&before, length, now + wait - 1);
			window_at(&after, length, now + wait);
			CU_ASSERT_FALSE(window_fits(&before, limit, 1));
			CU_ASSERT_TRUE(window_fits(&after, limit, 1));
		}
	}
}

static void windows_at_their_bounds(void)
{
	struct window w = {0};

	window_at(&w, 15, 0); /* slots of one nanosecond */
	CU_ASSERT_FALSE(window_fits(&w, 0, 1));
	CU_ASSERT_TRUE(window_fits(&w, 0, 0));
	CU_ASSERT_EQUAL(window_wait(&w, 0, 1, 0), UINT64_MAX);
	CU_ASSERT_EQUAL(window_empty_at(&w), 0);
	window_add(&w, 1);
	CU_ASSERT_EQUAL(window_empty_at(&w), 16);
	window_at(&w, 15, 15);
	CU_ASSERT_EQUAL(window_used(&w), 1);
	window_at(&w, 15, 16);
	CU_ASSERT_EQUAL(window_used(&w), 0);
	window_add(&w, UINT64_MAX);
	window_add(&w, UINT64_MAX); /* saturates */
	CU_ASSERT_EQUAL(window_used(&w), UINT64_MAX);
	CU_ASSERT_FALSE(window_fits(&w, UINT64_MAX - 1, 1));
	window_at(&w, 15, 10); /* a clock that lags does not bring back or lose anything */
	CU_ASSERT_EQUAL(window_used(&w), UINT64_MAX);
	CU_ASSERT_EQUAL(w.newest, 16);
	window_at(&w, 30, 20); /* another length begins anew */
	CU_ASSERT_EQUAL(window_used(&w), 0);
	window_at(&w, 30, UINT64_MAX);
	window_add(&w, 3);
	CU_ASSERT_EQUAL(window_empty_at(&w), UINT64_MAX);
	CU_ASSERT_EQUAL(window_used(&w), 3);
}

static void numbers_are_written_as_printf_does(void)
{
	uint64_t v = 1;

	for (int i = 0; i < 64; i++, v *= 2) {
		for (uint64_t k = 0; k < 3; k++) {
			char got[TXT_U64_LEN], want[24];
			int n =
			    snprintf(want, sizeof(want), "%llu", (unsigned long long)(v - 1 + k));
			CU_ASSERT_EQUAL(txt_u64(got, v - 1 + k), (size_t)n);
			CU_ASSERT_EQUAL(memcmp(got, want, (size_t)n), 0);
		}
	}
	for (v = 10; v < UINT64_MAX / 10; v *= 10) {
		char got[TXT_U64_LEN];
		CU_ASSERT_EQUAL(txt_u64(got, v - 1) + 1, txt_u64(got, v));
	}
}

static void hex_of_any_length_is_read_back(void)
{
	uint8_t bytes[256], back[256];
	char hex[512], want[3];

	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (uint8_t)(i * 167);
	for (size_t n = 0; n <= 256; n++) {
		memset(hex, 'X', sizeof(hex));
		txt_hex(bytes, n, hex);
		CU_ASSERT_EQUAL(txt_unhex((struct merlon_str){hex, 2 * n}, back), 0);
		CU_ASSERT_EQUAL(memcmp(bytes, back, n), 0);
		CU_ASSERT_TRUE(n == 256 || hex[2 * n] == 'X');
	}
	for (unsigned i = 0; i < 256; i++) {
		snprintf(want, sizeof(want), "%02x", bytes[i]);
		CU_ASSERT_EQUAL(memcmp(hex + 2 * (size_t)i, want, 2), 0);
	}
}

static void sums_are_the_same_only_if_all_bytes_are(void)
{
	uint8_t a[40], b[40];

	memset(a, 7, sizeof(a));
	for (size_t n = 0; n <= sizeof(a); n++) {
		memcpy(b, a, sizeof(b));
		CU_ASSERT_EQUAL(sha_same(a, b, n), 1);
		for (size_t i = 0; i < sizeof(a); i++) {
			b[i] ^= 0x80;
			CU_ASSERT_EQUAL(sha_same(a, b, n), i >= n);
			b[i] ^= 0x80;
		}
	}
}

UNIT_MAIN("common", UNIT(globs_match_whole_texts), UNIT(controls_are_not_plain),
          UNIT(a_line_takes_a_part_of_long_names_and_no_more_than_it_holds),
          UNIT(a_bearer_token_is_what_stands_behind_the_scheme), UNIT(utf8_is_as_in_rfc3629),
          UNIT(times_are_read), UNIT(times_round_trip), UNIT(networks_hold_their_addresses),
          UNIT(bad_networks_are_refused), UNIT(keys_are_made_and_recognised),
          UNIT(every_other_byte_breaks_the_crc), UNIT(the_crc_is_the_published_one),
          UNIT(the_table_finds_what_was_put), UNIT(suggestions_are_near), UNIT(sha_is_sha256),
          UNIT(no_interval_holds_more_than_the_limit),
          UNIT(a_steady_client_below_15_16_is_never_refused), UNIT(the_wait_is_exact),
          UNIT(windows_at_their_bounds), UNIT(numbers_are_written_as_printf_does),
          UNIT(hex_of_any_length_is_read_back), UNIT(sums_are_the_same_only_if_all_bytes_are))
