/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The table of byte classes, computed from the grammar's own rules at compile time: a table of
 * numbers could not be reviewed.
 */
#include "http/chars.h"

#define ALPHA(c) (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define ONE_OF_4(c, a, b, d, e) ((c) == (a) || (c) == (b) || (c) == (d) || (c) == (e))
#define UNRESERVED(c) (ALPHA(c) || DIGIT(c) || ONE_OF_4(c, '-', '.', '_', '~'))
#define TOKEN(c)                                                                                   \
	(UNRESERVED(c) || ONE_OF_4(c, '!', '#', '$', '%') || ONE_OF_4(c, '&', '\'', '*', '+') ||   \
	 ONE_OF_4(c, '^', '`', '|', '|'))
#define SUB_DELIM(c)                                                                               \
	(ONE_OF_4(c, '!', '$', '&', '\'') || ONE_OF_4(c, '(', ')', '*', '+') ||                    \
	 ONE_OF_4(c, ',', ';', '=', '='))
#define VISIBLE(c) ((c) >= 0x21 && (c) <= 0x7e)

#define C1(c)                                                                                      \
	((TOKEN(c) ? CHAR_TOKEN : 0) | (TOKEN(c) && (c) != '_' ? CHAR_NAME : 0) |                  \
	 ((c) == '\t' || ((c) >= 0x20 && (c) != 0x7f) ? CHAR_VALUE : 0) |                          \
	 (VISIBLE(c) ? CHAR_TARGET : 0) | (UNRESERVED(c) ? CHAR_UNRESERVED : 0) |                  \
	 (UNRESERVED(c) || SUB_DELIM(c) ? CHAR_HOST : 0) | (DIGIT(c) ? CHAR_DIGIT : 0) |           \
	 (VISIBLE(c) && !ONE_OF_4(c, '/', '%', '#', '\\') ? CHAR_SEGMENT : 0))
#define C4(c) C1(c), C1((c) + 1), C1((c) + 2), C1((c) + 3)
#define C16(c) C4(c), C4((c) + 4), C4((c) + 8), C4((c) + 12)
#define C64(c) C16(c), C16((c) + 16), C16((c) + 32), C16((c) + 48)

const uint8_t http_chars[256] = {C64(0), C64(64), C64(128), C64(192)};
