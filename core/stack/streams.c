/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Which streams there are. A stream is found by the SHA-256 of all that was written about it, the
 * content of its certificate files besides, so that a renewed certificate or another password is
 * another stream. Opening and the last release are rare and take a lock; what happens on a worker
 * (a message, a call) does not.
 */
#include "stack/streams.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/addr.h"
#include "http/url.h"
#include "stack/shared.h"
#include "stack/streampriv.h"

#define DEFAULT_MS 5000
#define DEFAULT_QUEUE (1024 * 1024)
#define QUEUE_LIMIT (256 * 1024 * 1024)
#define GREETINGS_LIMIT 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list streams = {&streams, &streams};

/* ---- life ---- */
void stream_ref(struct merlon_stream *st)
{
	pthread_mutex_lock(&lock);
	st->refs++;
	pthread_mutex_unlock(&lock);
}

static void stream_free(struct merlon_stream *st)
{
	if (st->texts[0])
		mem_wipe(st->texts[0], (size_t)st->ops.greeting.len);
	for (size_t i = 0; i < sizeof(st->texts) / sizeof(st->texts[0]); i++)
		free(st->texts[i]);
	tls_ctx_unref(st->tls);
	free(st->host);
	free(st);
}

void stream_unref(struct merlon_stream *st)
{
	bool last;

	pthread_mutex_lock(&lock);
	last = --st->refs == 0;
	if (last)
		list_del(&st->node);
	pthread_mutex_unlock(&lock);
	if (last)
		stream_free(st);
}

static void put(void *obj)
{
	stream_unref(obj);
}

/* ---- what is written about it ---- */
struct opening {
	const merlon_cfg *cfg;
	struct merlon_stream_ops ops; /* with the defaults filled in */
	enum endpoint_kind kind;
	struct net_addr addr;
	struct str host;
	uint16_t port;
	struct tls_ctx *tls; /* NULL: plain, or it has become a stream's */
	bool wrong;          /* it has been said what */
};

static void say(struct opening *o, const char *what, const char *why)
{
	char *line = xasprintf("%s %s", what, why);

	host_cfg_error(o->cfg, "", to_merlon(str_of(line)));
	o->wrong = true;
	free(line);
}

static void say_endpoint(struct opening *o, const char *why)
{
	char *what = xasprintf("endpoint \"%.*s\"", (int)o->ops.endpoint.len, o->ops.endpoint.ptr);

	say(o, what, why);
	free(what);
}

static void read_endpoint(struct opening *o)
{
	static const struct {
		struct str scheme;
		enum endpoint_kind kind;
	} kinds[] = {{STR("tcp:"), ENDPOINT_TCP},
	             {STR("tls:"), ENDPOINT_TLS},
	             {STR("udp:"), ENDPOINT_UDP},
	             {STR("unix:"), ENDPOINT_UNIX}};
	struct str all = from_merlon(o->ops.endpoint);
	struct str rest;
	const char *why;
	size_t i = 0;

	while (i < 4 && !str_starts(all, kinds[i].scheme))
		i++;
	if (i == 4) {
		say_endpoint(o, "is not tcp:HOST:PORT, tls:HOST:PORT, udp:HOST:PORT or unix:/PATH");
		return;
	}
	o->kind = kinds[i].kind;
	rest = (struct str){all.p + kinds[i].scheme.n, all.n - kinds[i].scheme.n};
	if (o->kind == ENDPOINT_UNIX) {
		if (rest.n == 0 || rest.p[0] != '/' || !net_addr_parse(all, &o->addr))
			say_endpoint(o, "is not the absolute name of a socket");
		return;
	}
	/* "tcp:unix:/x" is a server's address to the function below, not to us. */
	why = str_starts(rest, STR("unix:")) ? "needs a host" : addr_check_server(rest);
	if (why)
		say_endpoint(o, why);
	else if (!url_hostport(rest, &o->host, &o->port))
		say_endpoint(o, "is not HOST:PORT");
}

static bool functions_agree(const struct merlon_stream_ops *ops)
{
	if (!ops->decode)
		return !ops->decoder_new && !ops->decoder_free && ops->greetings == 0;
	return ops->decoder_new && ops->decoder_free && ops->message_free &&
	       ops->greetings <= GREETINGS_LIMIT && (ops->greetings == 0 || ops->greeting.len > 0);
}

static void check_tls(struct opening *o)
{
	const struct merlon_stream_ops *ops = &o->ops;

	if (o->kind == ENDPOINT_TLS) {
		if ((ops->certificate.len == 0) != (ops->key.len == 0))
			say_endpoint(o, "needs a certificate and its key, or neither");
	} else if (ops->ca.len || ops->certificate.len || ops->key.len || ops->server_name.len) {
		say_endpoint(o, "is not tls:HOST:PORT, so it takes no certificates");
	}
}

/* ---- its name ---- */
static void add_bytes(struct digest *dg, struct str s)
{
	uint64_t n = s.n;

	digest_add(dg, (struct str){(const char *)&n, sizeof(n)});
	digest_add(dg, s);
}

static void name_of(const struct merlon_stream_ops *ops, uint8_t out[SHA256_LEN])
{
	const struct merlon_str texts[] = {ops->endpoint, ops->ca,          ops->certificate,
	                                   ops->key,      ops->server_name, ops->greeting,
	                                   ops->note};
	struct merlon_stream_ops rest = *ops;
	struct digest *dg = digest_new(STR_NONE);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		add_bytes(dg, from_merlon(texts[i]));
	/* Numbers and functions; the table has no padding on any machine that we build for, and one
	 * that had some would only make two streams of one. */
	rest.endpoint = rest.ca = rest.certificate = rest.key = (struct merlon_str){NULL, 0};
	rest.server_name = rest.greeting = rest.note = (struct merlon_str){NULL, 0};
	digest_add(dg, (struct str){(const char *)&rest, sizeof(rest)});
	digest_get(dg, out);
	digest_free(dg);
}

/* ---- opening ---- */
static struct merlon_str keep(struct merlon_stream *st, unsigned i, struct merlon_str s)
{
	st->texts[i] = str_dup(from_merlon(s));
	return (struct merlon_str){st->texts[i], s.len};
}

static void stats_init(struct merlon_stream *st)
{
	struct str endpoint = from_merlon(st->ops.endpoint);

	st->up =
	    stats_get(stats_family(STAT_GAUGE, "merlon_stream_up",
	                           "Connections of streams that are up, one a worker.", "endpoint"),
	              &endpoint);
	st->connects = stats_get(stats_family(STAT_COUNTER, "merlon_stream_connects_total",
	                                      "Connections of streams that came up.", "endpoint"),
	                         &endpoint);
	st->lost = stats_get(stats_family(STAT_COUNTER, "merlon_stream_lost_total",
	                                  "Messages that found no room, or were left at the end.",
	                                  "endpoint"),
	                     &endpoint);
}

static void tls_wrong(void *arg, const char *key, const char *text)
{
	char *what = xasprintf("%s:", key);

	say(arg, what, text);
	free(what);
}

static void tls_open(struct opening *o)
{
	const struct tls_client_conf c = {
	    .ca = from_merlon(o->ops.ca),
	    .certificate = from_merlon(o->ops.certificate),
	    .key = from_merlon(o->ops.key),
	};

	o->tls = tls_client_new(&c, tls_wrong, o);
	if (!o->tls)
		o->wrong = true;
}

static struct merlon_stream *stream_make(struct opening *o, const uint8_t key[SHA256_LEN])
{
	struct merlon_stream *st = xcalloc(1, sizeof(*st));

	st->refs = 1;
	memcpy(st->key, key, SHA256_LEN);
	st->kind = o->kind;
	st->addr = o->addr;
	st->port = o->port;
	st->host = str_dup(o->host);
	st->ops = o->ops;
	st->ops.greeting = keep(st, 0, o->ops.greeting);
	st->ops.endpoint = keep(st, 1, o->ops.endpoint);
	st->ops.note = keep(st, 2, o->ops.note);
	st->ops.server_name =
	    keep(st, 3, o->ops.server_name.len ? o->ops.server_name : to_merlon(o->host));
	st->ops.ca = st->ops.certificate = st->ops.key = (struct merlon_str){NULL, 0};
	st->tls = o->tls;
	o->tls = NULL;
	stats_init(st);
	return st;
}

/* Takes a reference. */
static struct merlon_stream *stream_find(struct opening *o)
{
	struct merlon_stream *st = NULL;
	uint8_t key[SHA256_LEN];

	name_of(&o->ops, key);
	pthread_mutex_lock(&lock);
	list_each(it, &streams)
	{
		st = list_entry(it, struct merlon_stream, node);
		if (memcmp(st->key, key, SHA256_LEN) == 0 && tls_ctx_same(st->tls, o->tls))
			break;
		st = NULL;
	}
	if (st)
		st->refs++;
	pthread_mutex_unlock(&lock);
	if (st)
		return st;
	/* Only the control thread opens, so nobody else makes the same one meanwhile. */
	st = stream_make(o, key);
	pthread_mutex_lock(&lock);
	list_add(&streams, &st->node);
	pthread_mutex_unlock(&lock);
	return st;
}

static int32_t hold(struct merlon_ctx *ctx, struct merlon_stream *st)
{
	for (unsigned i = 0; i < ctx->streams.n; i++) {
		if (ctx->streams.v[i] == st) {
			stream_unref(st);
			return 0;
		}
	}
	if (ctx->streams.n == STREAMS_INSTANCE_MAX) {
		stream_unref(st);
		return MERLON_E_FULL;
	}
	ctx->streams.v[ctx->streams.n++] = st;
	held_add(ctx, put, st);
	return 0;
}

/* Everything that can be said of what is wrong. */
static void check(struct opening *o)
{
	struct merlon_stream_ops *ops = &o->ops;

	ops->size = sizeof(*ops);
	ops->connect_timeout_ms = ops->connect_timeout_ms ? ops->connect_timeout_ms : DEFAULT_MS;
	ops->stall_ms = ops->stall_ms ? ops->stall_ms : DEFAULT_MS;
	ops->max_queue = ops->max_queue ? ops->max_queue : DEFAULT_QUEUE;
	if (ops->max_queue > QUEUE_LIMIT)
		ops->max_queue = QUEUE_LIMIT;
	read_endpoint(o);
	if (o->wrong)
		return;
	check_tls(o);
	if (o->kind == ENDPOINT_UDP && ops->decode)
		say_endpoint(o, "cannot carry answers");
	if (!o->wrong && o->kind == ENDPOINT_TLS)
		tls_open(o);
}

int32_t host_stream_open(merlon_ctx *ctx, const merlon_cfg *cfg,
                         const struct merlon_stream_ops *ops, merlon_stream **out)
{
	struct opening o = {.cfg = cfg};
	struct merlon_stream *st;
	int32_t r;

	if (!ctx || !ctx->diag || !cfg || !ops || !out || ops->size < sizeof(*ops) ||
	    !functions_agree(ops))
		return MERLON_E_INVAL;
	o.ops = *ops;
	check(&o);
	if (o.wrong)
		return MERLON_E_INVAL;
	st = stream_find(&o);
	tls_ctx_unref(o.tls);
	r = hold(ctx, st);
	if (r == 0)
		*out = st;
	return r;
}

/* ---- on a worker ---- */
static struct stream_link *link_of(const struct merlon_stream *st, const struct merlon_worker *w)
{
	return w && w->index < WORKERS_MAX ? st->links[w->index] : NULL;
}

int32_t host_stream_send(merlon_stream *stream, merlon_tx *tx, struct merlon_str bytes)
{
	struct stream_link *ln;

	if (!stream || !tx || bytes.len == 0)
		return MERLON_E_INVAL;
	if (tx_base(tx)->dry)
		return 0;
	ln = link_of(stream, tx_base(tx)->worker);
	return ln ? queue_send(ln, from_merlon(bytes)) : MERLON_E_UNAVAIL;
}

int32_t host_stream_call(merlon_stream *stream, merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                         struct merlon_str bytes, uint32_t timeout_ms, merlon_stream_fn done,
                         void *arg, merlon_op **op)
{
	struct stream_link *ln;

	if (!stream || !ctx || (!w && !tx) || bytes.len == 0 || !done || !stream->ops.decode)
		return MERLON_E_INVAL;
	if (tx && tx_base(tx)->dry)
		return MERLON_E_UNAVAIL;
	/* A probing process has no links. */
	ln = link_of(stream, tx ? tx_base(tx)->worker : w);
	if (!ln || ln->down)
		return MERLON_E_UNAVAIL;
	return queue_call(ln, ctx, tx, from_merlon(bytes),
	                  timeout_ms ? timeout_ms : stream->ops.stall_ms, done, arg, op);
}

int32_t host_stream_state(merlon_stream *stream, merlon_worker *w)
{
	const struct stream_link *ln = stream ? link_of(stream, w) : NULL;

	if (!ln || ln->down)
		return MERLON_STREAM_DOWN;
	return ln->state == LINK_UP ? MERLON_STREAM_UP : MERLON_STREAM_CONNECTING;
}

int32_t host_stream_ready(merlon_stream *stream, merlon_tx *tx, uint64_t room)
{
	const struct stream_link *ln;

	if (!stream || !tx)
		return MERLON_E_INVAL;
	if (tx_base(tx)->dry)
		return 0;
	ln = link_of(stream, tx_base(tx)->worker);
	if (!ln)
		return MERLON_E_UNAVAIL;
	return room <= QUEUE_LIMIT && queue_ready(ln, (size_t)room) ? 0 : MERLON_E_FULL;
}
