/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any request to any api: it is refused with a status and a reason, or it has an action and a
 * resource, and its body the same verdict and model however it is cut. The first two bytes of the
 * input choose the api and the size of the pieces; a request follows.
 */
#include "api/api.h"
#include "http/parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define S(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
static struct conf_rule rules[] = {{.path = S("/b*"),
                                    .action = S("predict"),
                                    .model_from = FROM_BODY,
                                    .model = S("model"),
                                    .resource_type = S("model")},
                                   {.path = S("/p/*"),
                                    .action = S("read"),
                                    .model_from = FROM_PATH,
                                    .segment = 2,
                                    .resource_type = S("model")},
                                   {.path = S("/h"),
                                    .method = S("POST"),
                                    .action = S("read"),
                                    .model_from = FROM_HEADER,
                                    .model = S("X-Model"),
                                    .resource_type = S("model")}};
static const struct conf_route routes[] = {
    {.path = S("/v1/"), .prefix = true, .api = S("openai")},
    {.path = S("/v1/"), .prefix = true, .api = S("anthropic"), .allow_unknown = S("read")},
    {.path = S("/"), .prefix = true, .api = S("kserve")},
    {.path = S("/"), .prefix = true, .api = S("rest"), .rules = rules, .nrules = 3},
};

static const char *body(struct api_call *c, struct str data, size_t piece)
{
	const char *why = NULL;

	for (size_t at = 0; at < data.n && !why && c->reads_body; at += piece) {
		size_t n = data.n - at < piece ? data.n - at : piece;

		why = api_body_feed(c, (struct str){data.p + at, n});
		if (!why && api_releasable(c, at + n) > at + n)
			abort();
	}
	return why ? why : api_body_end(c);
}

static int ask(const uint8_t *data, size_t size, size_t piece, struct arena *a, struct api_call *c)
{
	struct http_parser p;
	struct http_head h;
	struct url u;
	const char *allow, *why = NULL;
	struct str text = {(const char *)data + 2, size - 2};
	int status;

	http_parser_init(&p, false, 65536);
	if (http_parse(&p, text.p, text.n, a, &h) != HTTP_DONE ||
	    url_parse(h.target, false, a, &u, &why))
		return -1;
	status = api_resolve(&routes[data[0] % 4], &h, &u, a, c, &allow, &why);
	if (status) {
		if (!why || status < 400 || status > 499 || (status == 405) != (allow != NULL))
			abort();
		return status;
	}
	if (c->action.n == 0 || c->resource_type.n == 0)
		abort();
	why = body(c, (struct str){text.p + h.size, text.n - h.size}, piece);
	if (!why && (!api_settled(c) || (c->model_in_body && c->model_required && !c->model.n)))
		abort();
	return why ? 400 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_call whole = {0}, cut = {0};
	struct arena a;

	if (size < 2)
		return 0;
	arena_init(&a, NULL);
	int status = ask(data, size, size, &a, &whole);
	if (status != ask(data, size, data[1] % 32 + 1u, &a, &cut))
		abort();
	if (status == 0 && (!whole.model.p != !cut.model.p || !str_eq(whole.model, cut.model)))
		abort();
	arena_deinit(&a);
	return 0;
}
