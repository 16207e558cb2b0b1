/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Whether addresses, prefixes, host names and paths have the form that they must have. Text only:
 * nothing is resolved, and core/net reads the same texts again when it uses them.
 */
#ifndef CONF_ADDR_H
#define CONF_ADDR_H

#include "base/str.h"

/* NULL: fine; else what is wrong, to stand behind the quoted text ("needs a port"). */
const char *addr_check_listen(struct str s); /* "127.0.0.1:8080" "[::1]:80" "*:80" "unix:/path" */
const char *addr_check_server(struct str s); /* the same with a host name, and without "*" */
const char *addr_check_prefix(struct str s); /* "10.0.0.0/8" "::1" "unix" */
const char *
addr_check_host(struct str s); /* "example.com" "*.example.com" "10.0.0.1" "[::1]"; lower case */
const char *
addr_check_path(struct str s);    /* canonical, as the codec leaves the paths of requests */
bool addr_is_token(struct str s); /* of RFC 9110 */

#endif
