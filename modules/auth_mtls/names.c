/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Names by the letter: SPIFFE IDs (SPIFFE-ID and X.509-SVID specifications), DNS names (RFC 1123,
 * and the underscore that services use), common names.
 */
#include "names.h"

#define SCHEME "spiffe://"

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

const char *name_clean(struct merlon_str name)
{
	for (uint64_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c == 0)
			return "the certificate's name holds a NUL";
		if (c < 0x20 || c == 0x7f)
			return "the certificate's name holds a control character";
	}
	return NULL;
}

bool name_is_spiffe(struct merlon_str uri)
{
	static const char scheme[] = "spiffe:";

	if (uri.len < sizeof(scheme) - 1)
		return false;
	for (size_t i = 0; i < sizeof(scheme) - 1; i++) {
		if (lower(uri.ptr[i]) != scheme[i])
			return false;
	}
	return true;
}

const char *name_trust_domain(struct merlon_str domain)
{
	if (domain.len == 0 || domain.len > 255)
		return "a trust domain has 1 to 255 characters";
	for (uint64_t i = 0; i < domain.len; i++) {
		char c = domain.ptr[i];
		if (!lower_or_digit(c) && c != '.' && c != '-' && c != '_')
			return "a trust domain has no characters but a-z 0-9 . - _";
	}
	return NULL;
}

/* "/a/b": every segment has a name, and none is "." or "..". */
static const char *path_wrong(struct merlon_str path)
{
	for (uint64_t i = 0, n; i < path.len; i += n) {
		const char *segment = path.ptr + ++i;
		for (n = 0; i + n < path.len && segment[n] != '/'; n++) {
			char c = lower(segment[n]);
			if (!lower_or_digit(c) && c != '.' && c != '-' && c != '_')
				return "the path of the SPIFFE ID holds a character it must not";
		}
		if (n == 0)
			return "the path of the SPIFFE ID has an empty segment";
		if (segment[0] == '.' && (n == 1 || (n == 2 && segment[1] == '.')))
			return "the path of the SPIFFE ID has a dot segment";
	}
	return NULL;
}

const char *name_spiffe(struct merlon_str id, struct merlon_str *domain)
{
	const size_t n = sizeof(SCHEME) - 1;
	const char *wrong = name_clean(id), *slash;

	if (wrong)
		return wrong;
	if (id.len > NAME_SPIFFE_MAX)
		return "the SPIFFE ID is longer than 2048 bytes";
	if (id.len < n || memcmp(id.ptr, SCHEME, n) != 0)
		return "the SPIFFE ID does not begin with spiffe://";
	slash = memchr(id.ptr + n, '/', id.len - n);
	domain->ptr = id.ptr + n;
	domain->len = slash ? (uint64_t)(slash - domain->ptr) : id.len - n;
	wrong = name_trust_domain(*domain);
	if (wrong)
		return wrong;
	if (!slash)
		return "the SPIFFE ID names a trust domain and no workload";
	return path_wrong((struct merlon_str){slash, id.len - n - domain->len});
}

/* One label, without its dot. */
static const char *label_wrong(const char *p, uint64_t n)
{
	if (n == 0 || n > 63)
		return "the DNS name has an empty or an overlong label";
	for (uint64_t i = 0; i < n; i++) {
		if (p[i] == '*')
			return "a wildcard is no client's name";
		if (!lower_or_digit(p[i]) && p[i] != '-' && p[i] != '_')
			return "the DNS name holds a character it must not";
	}
	if (p[0] == '-' || p[n - 1] == '-')
		return "a label of the DNS name begins or ends with a hyphen";
	return NULL;
}

const char *name_dns(struct merlon_str name, char out[NAME_DNS_MAX])
{
	const char *wrong = name_clean(name);
	uint64_t from = 0;

	if (!wrong && (name.len == 0 || name.len > NAME_DNS_MAX))
		wrong = "a DNS name has 1 to 253 characters";
	for (uint64_t i = 0; i < name.len && !wrong; i++) {
		out[i] = lower(name.ptr[i]);
		if (out[i] == '.') {
			wrong = label_wrong(out + from, i - from);
			from = i + 1;
		}
	}
	return wrong ? wrong : label_wrong(out + from, name.len - from);
}

const char *name_cn(struct merlon_str name)
{
	const char *wrong = name_clean(name);

	if (wrong)
		return wrong;
	if (name.len == 0 || name.len > NAME_CN_MAX)
		return "a common name has 1 to 256 bytes";
	/* Else it would pass for the workload of that ID wherever only id.sub is looked at. */
	if (name_is_spiffe(name))
		return "the common name poses as a SPIFFE ID";
	/* Nor may it widen what a mapping makes a pattern of models of. */
	if (memchr(name.ptr, '*', name.len) || memchr(name.ptr, '?', name.len))
		return "a wildcard is no client's name";
	for (uint64_t i = 0, n; i < name.len; i += n) {
		n = txt_utf8_len(name.ptr + i, name.len - i);
		if (n == 0)
			return "the common name is not UTF-8";
	}
	return NULL;
}
