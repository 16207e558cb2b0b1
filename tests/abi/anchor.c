/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/* One function that takes every table of the ABI, so that abidw and abidiff see their layout. */
#include <merlon/module.h>

struct merlon_abi {
	const struct merlon_host *host;
	const struct merlon_module *module;
	const struct merlon_option *option;
	const struct merlon_note *note;
	const struct merlon_val *val;
	const struct merlon_header *header;
	const struct merlon_fail *fail;
	const struct merlon_summary *summary;
	const struct merlon_decision *decision;
	const struct merlon_sink_ops *sink_ops;
	const struct merlon_sink_out *sink_out;
	/* 1.1 */
	const struct merlon_http_request *http_request;
	const struct merlon_http_response *http_response;
	const struct merlon_stream_ops *stream_ops;
	/* 1.2 */
	const struct merlon_fact *fact;
};

MERLON_EXPORT int merlon_abi(const struct merlon_abi *tables);
int merlon_abi(const struct merlon_abi *tables)
{
	return tables->host != 0;
}
