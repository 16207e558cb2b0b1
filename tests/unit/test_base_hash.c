/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Hashes against published vectors: FIPS 180, RFC 4231, the CRC catalogue; SipHash-1-3 against
 * another implementation (CPython 3.11 with a zero key).
 */
#include "base/hash.h"

#include "unit.h"

static bool hex_is(const uint8_t *p, const char *want)
{
	char hex[SHA256_HEX];

	hex_encode(p, SHA256_LEN, hex);
	return memcmp(hex, want, SHA256_HEX) == 0;
}

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void sha256_vectors(void)
{
	uint8_t out[SHA256_LEN];

	sha256(STR("abc"), out);
	CU_ASSERT(hex_is(out, ABC));
	sha256(STR_NONE, out);
	CU_ASSERT(hex_is(out, EMPTY));
	sha256(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), out);
	CU_ASSERT(hex_is(out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"));
}

static void a_running_digest_can_begin_anew(void)
{
	struct digest *d = digest_new(STR_NONE);
	uint8_t out[SHA256_LEN];

	digest_add(d, STR("a"));
	digest_add(d, STR_NONE);
	digest_add(d, STR("bc"));
	digest_get(d, out);
	CU_ASSERT(hex_is(out, ABC));
	digest_reset(d);
	digest_get(d, out);
	CU_ASSERT(hex_is(out, EMPTY));
	digest_reset(d);
	digest_add(d, STR("left unfinished"));
	digest_reset(d);
	digest_add(d, STR("abc"));
	digest_get(d, out);
	CU_ASSERT(hex_is(out, ABC));
	digest_free(d);
	digest_free(NULL);
}

static void hmac_keeps_its_key_over_a_reset(void)
{
	static const char want[] =
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
	struct digest *d = digest_new(STR("Jefe"));
	uint8_t out[SHA256_LEN];

	for (int i = 0; i < 3; i++) {
		digest_add(d, STR("what do ya want "));
		digest_add(d, STR("for nothing?"));
		digest_get(d, out);
		CU_ASSERT(hex_is(out, want));
		digest_reset(d);
	}
	digest_add(d, STR("left unfinished"));
	digest_reset(d);
	digest_add(d, STR("what do ya want for nothing?"));
	digest_get(d, out);
	CU_ASSERT(hex_is(out, want));
	digest_free(d);
}

static void hex_is_lower_case_and_even(void)
{
	uint8_t out[4] = {0};

	CU_ASSERT(hex_decode(STR("00ff1a"), out) == 0);
	CU_ASSERT(out[0] == 0 && out[1] == 0xff && out[2] == 0x1a);
	CU_ASSERT(hex_decode(STR("0"), out) == -1);
	CU_ASSERT(hex_decode(STR("FF"), out) == -1);
	CU_ASSERT(hex_decode(STR("0g"), out) == -1);
	CU_ASSERT(hex_decode(STR(" 0"), out) == -1);
	CU_ASSERT(hex_decode(STR(""), out) == 0);
}

static void siphash_vectors(void)
{
	static const uint8_t key[16] = {0};

	CU_ASSERT(hash_sip_key(key, STR("a")) == UINT64_C(0x407448d2b89b1813));
	CU_ASSERT(hash_sip_key(key, STR("abcdefg")) == UINT64_C(0x6db12aae9070f506));
	CU_ASSERT(hash_sip_key(key, STR("abcdefgh")) == UINT64_C(0x3f7b849c0b8e35ea));
	CU_ASSERT(hash_sip_key(key, STR("The quick brown fox jumps")) ==
	          UINT64_C(0x9e719c78716a132b));
}

static void the_table_hash_is_keyed(void)
{
	static const uint8_t zero[16] = {0};

	CU_ASSERT(hash_sip(STR("alice")) == hash_sip(STR("alice")));
	CU_ASSERT(hash_sip(STR("alice")) != hash_sip(STR("alicf")));
	CU_ASSERT(hash_sip(STR("alice")) != hash_sip_key(zero, STR("alice")));
}

UNIT_MAIN("hash", UNIT(sha256_vectors), UNIT(a_running_digest_can_begin_anew),
          UNIT(hmac_keeps_its_key_over_a_reset), UNIT(hex_is_lower_case_and_even),
          UNIT(siphash_vectors), UNIT(the_table_hash_is_keyed))
