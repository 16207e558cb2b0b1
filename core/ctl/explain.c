/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * explain: what would happen to this request, and which line decides. Runs in this process with the
 * probe's rules: charges nothing, contacts nobody, records nothing.
 */
#include "tx/explain.h"

#include "base/log.h"
#include "conf/load.h"
#include "ctl/ctl.h"
#include "stack/sink.h"
#include "stack/zone.h"
#include "tx/handle.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX (64 * 1024 * 1024)
#define HEADERS_MAX 100

struct question {
	const char *method;
	const char *path;
	const char *body;
	const char *source;
	const char *headers[HEADERS_MAX];
	unsigned nheaders;
};
struct explaining {
	struct worker *w;
	bool json;
	int code;
};

/* ---- JSON; what does not fit the ceiling is refused as a whole by print_json() ---- */
#define JSON_MAX (4 * 1024 * 1024)

static int add_field(struct buf *b, const char *key, struct str value)
{
	int r = buf_addf(b, "%s\"%s\":", b->n && b->p[b->n - 1] != '{' ? "," : "", key);
	if (!r)
		r = value.p ? buf_add_json(b, value) : buf_adds(b, STR("null"));
	return r;
}

static int add_list(struct buf *b, const struct merlon_val *v)
{
	int r = buf_adds(b, STR("["));
	for (uint32_t i = 0; i < v->count && !r; i++) {
		r = i ? buf_adds(b, STR(",")) : 0;
		if (!r)
			r = buf_add_json(b, from_merlon(v->u.list[i]));
	}
	return r ? r : buf_adds(b, STR("]"));
}

static int add_attrs(struct buf *b, const struct attrs *as)
{
	int r = buf_adds(b, STR(",\"attributes\":{"));
	for (unsigned i = 0; i < as->n && !r; i++) {
		const struct attr *at = &as->v[i];
		r = i ? buf_adds(b, STR(",")) : 0;
		if (!r)
			r = buf_add_json(b, at->key);
		if (!r)
			r = buf_adds(b, STR(":"));
		if (r)
			break;
		if (at->val.type == MERLON_VAL_STRLIST)
			r = add_list(b, &at->val);
		else if (at->val.type == MERLON_VAL_STR)
			r = buf_add_json(b, from_merlon(at->val.u.str));
		else if (at->val.type == MERLON_VAL_I64)
			r = buf_addf(b, "%lld", (long long)at->val.u.i64);
		else
			r = buf_adds(b, STR("null"));
	}
	return r ? r : buf_adds(b, STR("}"));
}

static int add_decisions(struct buf *b, merlon_tx *tx)
{
	struct merlon_decision d = {.size = sizeof(d)};
	int r = buf_adds(b, STR(",\"decisions\":["));
	for (uint32_t i = 0; !r && host_table.record_decision(tx, i, &d) == 0; i++) {
		r = buf_addf(b, "%s{", i ? "," : "");
		r = r ? r : add_field(b, "group", from_merlon(d.group));
		r = r ? r : add_field(b, "line", from_merlon(d.line));
		r = r ? r : add_field(b, "module", from_merlon(d.module));
		r = r ? r : add_field(b, "code", from_merlon(d.code));
		r = r ? r : add_field(b, "policy", d.policy.len ? from_merlon(d.policy) : STR_NONE);
		r = r ? r : buf_addf(b, ",\"shadow\":%s}", d.shadow ? "true" : "false");
	}
	return r ? r : buf_adds(b, STR("]"));
}

static int add_verdict(struct buf *b, merlon_tx *tx)
{
	unsigned status = tx->refusal.status;
	struct str reason = tx->reason.p ? tx->reason : tx->refusal.message;
	int r = buf_addf(b, "{\"allowed\":%s,\"status\":", status ? "false" : "true");
	if (!r)
		r = status ? buf_addf(b, "%u", status) : buf_adds(b, STR("null"));
	return r ? r : add_field(b, "reason", status ? reason : STR_NONE);
}

static int print_json(merlon_tx *tx)
{
	struct buf b;
	buf_init(&b, JSON_MAX);
	int r = add_verdict(&b, tx);
	r = r ? r : add_field(&b, "route", tx->route->conf ? tx->route->conf->name : STR_NONE);
	r = r ? r : add_field(&b, "stack", tx->stack ? tx->stack->name : STR_NONE);
	r = r ? r : add_field(&b, "action", tx->call.action);
	r = r ? r : add_field(&b, "model", tx->call.model);
	r = r ? r : add_attrs(&b, &tx->base.attrs);
	r = r ? r : add_decisions(&b, tx);
	r = r ? r : buf_adds(&b, STR("}\n"));
	if (!r)
		fwrite(b.p, 1, b.n, stdout);
	buf_deinit(&b);
	return r;
}

static void print_text(merlon_tx *tx)
{
	struct merlon_decision d = {.size = sizeof(d)};
	printf("route     %.*s\n", tx->route->conf ? (int)tx->route->conf->name.n : 4,
	       tx->route->conf ? tx->route->conf->name.p : "none");
	printf("stack     %.*s\n", tx->stack ? (int)tx->stack->name.n : 4,
	       tx->stack ? tx->stack->name.p : "none");
	printf("action    %.*s\n", STR_FMT(tx->call.action));
	if (tx->call.model.p)
		printf("model     %.*s\n", STR_FMT(tx->call.model));
	for (uint32_t i = 0; host_table.record_decision(tx, i, &d) == 0; i++)
		printf("%-9.*s %.*s: %.*s%s%.*s%s\n", (int)d.group.len, d.group.ptr,
		       (int)d.line.len, d.line.ptr, (int)d.code.len, d.code.ptr,
		       d.policy.len ? " by " : "", (int)d.policy.len,
		       d.policy.len ? d.policy.ptr : "", d.shadow ? " (shadow)" : "");
	if (tx->refusal.status)
		printf("refused   %u: %.*s\n", tx->refusal.status,
		       STR_FMT(tx->reason.p ? tx->reason : tx->refusal.message));
	else
		printf("passes    to upstream %.*s\n", STR_FMT(tx->route->conf->upstream));
}

static void explained(merlon_tx *tx, void *arg)
{
	struct explaining *e = arg;
	if (!e->json)
		print_text(tx);
	else if (print_json(tx))
		e->code = CTL_FILE;
	loop_stop(e->w->base.loop);
}

static int parse_question(int argc, char **argv, struct question *q)
{
	*q = (struct question){.source = "127.0.0.1"};
	for (int i = 0; i < argc; i++) {
		static const char *const names[] = {"--method", "--path", "--body", "--source",
		                                    "--header"};
		const char **places[] = {&q->method, &q->path, &q->body, &q->source};
		unsigned k = 0;
		while (k < 5 && strcmp(argv[i], names[k]) != 0)
			k++;
		if (k == 5 || i + 1 == argc || (k == 4 && q->nheaders == HEADERS_MAX)) {
			fprintf(stderr, "merlonctl: explain: %s %s\n", argv[i],
			        k == 5 ? "is not an option" : "needs a value");
			return CTL_USAGE;
		}
		if (k == 4)
			q->headers[q->nheaders++] = argv[++i];
		else
			*places[k] = argv[++i];
	}
	if (q->method && q->path)
		return 0;
	fputs("merlonctl: explain needs --method and --path\n", stderr);
	return CTL_USAGE;
}

static int read_body(const char *path, struct buf *out)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	char chunk[65536];
	size_t n;
	int r = f ? 0 : -1;
	while (r == 0 && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		r = buf_add(out, chunk, n);
	if (f && f != stdin)
		fclose(f);
	if (r)
		fprintf(stderr, "merlonctl: %s cannot be read\n", path);
	return r ? CTL_FILE : 0;
}

/* The request as it would stand on the wire. */
static int compose(const struct question *q, struct buf *raw)
{
	struct buf body;
	buf_init(&body, BODY_MAX);
	int r = q->body ? read_body(q->body, &body) : 0;
	bool host = false;
	if (!r)
		r = buf_addf(raw, "%s %s HTTP/1.1\r\n", q->method, q->path);
	for (unsigned i = 0; i < q->nheaders && !r; i++) {
		host |= strncasecmp(q->headers[i], "host:", 5) == 0;
		r = buf_addf(raw, "%s\r\n", q->headers[i]);
	}
	if (!r && !host)
		r = buf_addf(raw, "Host: localhost\r\n");
	if (!r && q->body)
		r = buf_addf(raw, "Content-Length: %zu\r\n", body.n);
	if (!r)
		r = buf_addf(raw, "\r\n");
	if (!r)
		r = buf_adds(raw, buf_str(&body));
	buf_deinit(&body);
	return r < 0 || r == BUF_E_FULL ? CTL_USAGE : r;
}

static void never(struct generation *g)
{
	(void)g;
}

static int run(const struct ctl *c, struct conf *conf, struct stacks *s, const struct question *q,
               struct str raw)
{
	struct worker w;
	struct memory_budget budget = {0};
	atomic_uint connections = 0;
	const char *module = NULL;
	struct generation *g = gen_new(1, conf, s, 1, never);
	struct explaining e = {.w = &w, .json = c->json};
	atomic_store(&budget.limit, conf->limits.memory);
	worker_init(&w, 0, NULL, &budget, &connections);
	if (gen_attach(g, &w, &module)) {
		fprintf(stderr, "merlonctl: module %s does not start\n", module);
		e.code = CTL_CONFIG;
	} else {
		gen_switch(g, &w);
		if (explain_run(&w, raw, q->source, explained, &e)) {
			fprintf(stderr, "merlonctl: --source %s is no address\n", q->source);
			e.code = CTL_USAGE;
		} else {
			loop_run(w.base.loop);
		}
		struct gen_worker *gw = w.current;
		w.current = NULL;
		gen_unref(gw);
	}
	gen_free(g);
	worker_deinit(&w);
	return e.code;
}

int ctl_explain(const struct ctl *c, int argc, char **argv)
{
	struct question q;
	int code = parse_question(argc, argv, &q);
	if (code)
		return code;
	const char *file = c->conf ? c->conf : MERLON_SYSCONFDIR "/merlon/merlon.conf";
	struct buf raw;
	buf_init(&raw, BODY_MAX + 65536);
	code = compose(&q, &raw);
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf *conf = code ? NULL : conf_load(file, c->modules, &d);
	struct stacks *s = conf ? stacks_new(conf, &host_table, true, &d) : NULL;
	if (s) {
		zones_publish();
		code = run(c, conf, s, &q, buf_str(&raw));
	} else if (!code) {
		fwrite(d.text.p, 1, d.text.n, stderr);
		conf_free(conf);
		code = CTL_CONFIG;
	}
	sinks_discard();
	conf_diag_deinit(&d);
	buf_wipe(&raw);
	buf_deinit(&raw);
	return code;
}
