/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * audit_syslog: the audit record of each request as a syslog message to a collector. The
 * connections and their queues belong to a stream of the host's, which outlives instances; each
 * worker owns the room in which it renders.
 */
#include "message.h"

#include <stdlib.h>
#include <unistd.h>

#define UDP_MOST 65507 /* what a datagram holds at most, over IPv4 */

struct instance {
	merlon_ctx *ctx;
	merlon_stream *stream;
	uint32_t lost; /* metrics */
	uint32_t cut;
	uint64_t max_message;
	char note[MESSAGE_NOTE];
	uint64_t note_len;
};

struct worker {
	struct recorder recorder;
	char room[MESSAGE_HEAD + RECORD_ROOM + MESSAGE_TAIL];
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option tls_rows[] = {
    {"ca", MERLON_OPT_PATH, 0, NULL, NULL, NULL,
     "PEM file of the authorities that may sign the collector's certificate; without it the "
     "system's."},
    {"certificate", MERLON_OPT_PATH, 0, NULL, NULL, NULL,
     "PEM file of the certificate shown to the collector."},
    {"key", MERLON_OPT_PATH, 0, NULL, NULL, NULL, "PEM file of its private key."},
    {"server_name", MERLON_OPT_STR, 0, NULL, NULL, NULL,
     "Name that the collector's certificate must hold; without it the host of target."},
    {0},
};

static const struct merlon_option options[] = {
    {"target", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "The collector: \"unix:/PATH\", \"udp:HOST:PORT\", \"tcp:HOST:PORT\" or \"tls:HOST:PORT\"."},
    {"format", MERLON_OPT_ENUM, 0, "json", "json|cef|ocsf", NULL,
     "json: the record as audit_file writes it; cef and ocsf are not supported by this version."},
    {"facility", MERLON_OPT_STR, 0, "local0", NULL, NULL,
     "Facility of the messages: kern, user, mail, daemon, auth, syslog, lpr, news, uucp, cron, "
     "authpriv, ftp, ntp, audit, alert, clock, local0 to local7."},
    {"hostname", MERLON_OPT_STR, 0, NULL, NULL, NULL,
     "HOSTNAME of the messages; without it that of the machine."},
    {"app_name", MERLON_OPT_STR, 0, "merlon", NULL, NULL, "APP-NAME of the messages."},
    {"msgid", MERLON_OPT_STR, 0, "audit", NULL, NULL, "MSGID of the messages."},
    {"max_message", MERLON_OPT_SIZE, 0, "8K", "4K..64K", NULL,
     "Longest message; the texts of a record that needs more are cut shorter."},
    {"queue", MERLON_OPT_SIZE, 0, "4M", "64K..256M", NULL,
     "Messages kept for a collector that does not take them, for each worker."},
    {"tls", MERLON_OPT_GROUP, 0, NULL, NULL, tls_rows, "TLS of a target that begins with tls:."},
    {"digest_key", MERLON_OPT_SECRET, 0, NULL, NULL, NULL,
     "Key of the body hashes (HMAC-SHA-256), so that short inputs cannot be guessed from them."},
};

static bool begins(struct merlon_str s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && memcmp(s.ptr, with, n) == 0;
}

static struct merlon_str text_option(const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;

	return cfg && H->cfg_get(cfg, key, &v) == 0 ? v.u.str : (struct merlon_str){NULL, 0};
}

static int wrong(const merlon_cfg *cfg, const char *key, struct merlon_str text)
{
	H->cfg_error(cfg, key, text);
	return -1;
}

static int check_format(const merlon_cfg *cfg)
{
	struct merlon_str format = text_option(cfg, "format");

	if (txt_eq(format, TXT("cef")))
		return wrong(cfg, "format", TXT("\"cef\" is not supported by this version"));
	if (txt_eq(format, TXT("ocsf")))
		return wrong(cfg, "format", TXT("\"ocsf\" is not supported by this version"));
	return 0;
}

/* What all messages of this line begin with. */
static int read_note(const merlon_cfg *cfg, struct instance *in)
{
	struct merlon_str hostname = text_option(cfg, "hostname");
	struct merlon_str app_name = text_option(cfg, "app_name");
	struct merlon_str msgid = text_option(cfg, "msgid");
	int facility = message_facility(text_option(cfg, "facility"));
	char machine[MESSAGE_HOSTNAME + 1] = "";
	int r = 0;

	if (!hostname.ptr) {
		(void)gethostname(machine, sizeof(machine) - 1);
		hostname = txt_of(machine);
		if (!message_is_name(hostname, MESSAGE_HOSTNAME))
			hostname = TXT("-");
	}
	if (facility < 0)
		r = wrong(cfg, "facility", TXT("must be a syslog facility such as \"local0\""));
	if (!message_is_name(hostname, MESSAGE_HOSTNAME))
		r = wrong(cfg, "hostname", TXT("must be 1 to 255 printable characters"));
	if (!message_is_name(app_name, MESSAGE_APP_NAME))
		r = wrong(cfg, "app_name", TXT("must be 1 to 48 printable characters"));
	if (!message_is_name(msgid, MESSAGE_MSGID))
		r = wrong(cfg, "msgid", TXT("must be 1 to 32 printable characters"));
	if (r == 0)
		in->note_len =
		    message_note(facility, hostname, app_name, (uint64_t)getpid(), msgid, in->note);
	return r;
}

static int read_stream(const merlon_cfg *cfg, struct instance *in, struct merlon_stream_ops *ops)
{
	const merlon_cfg *tls = H->cfg_at(cfg, "tls", 0);
	struct merlon_val v;

	ops->endpoint = text_option(cfg, "target");
	if (!begins(ops->endpoint, "unix:/") && !begins(ops->endpoint, "udp:") &&
	    !begins(ops->endpoint, "tcp:") && !begins(ops->endpoint, "tls:"))
		return wrong(cfg, "target",
		             TXT("must be \"unix:/PATH\", \"udp:HOST:PORT\", "
		                 "\"tcp:HOST:PORT\" or \"tls:HOST:PORT\""));
	if (tls && !begins(ops->endpoint, "tls:"))
		return wrong(cfg, "tls", TXT("is for a target that begins with tls:"));
	ops->ca = text_option(tls, "ca");
	ops->certificate = text_option(tls, "certificate");
	ops->key = text_option(tls, "key");
	ops->server_name = text_option(tls, "server_name");
	if (!ops->certificate.ptr != !ops->key.ptr)
		return wrong(tls, "", TXT("certificate and key go together"));
	if (H->cfg_get(cfg, "queue", &v) == 0)
		ops->max_queue = (uint64_t)v.u.i64;
	if (H->cfg_get(cfg, "max_message", &v) == 0)
		in->max_message = (uint64_t)v.u.i64;
	if (begins(ops->endpoint, "udp:") && in->max_message > UDP_MOST)
		return wrong(cfg, "max_message", TXT("is more than a datagram holds: 65507"));
	return 0;
}

static int open_stream(merlon_ctx *ctx, const merlon_cfg *cfg, struct instance *in,
                       struct merlon_stream_ops *ops)
{
	ops->note = (struct merlon_str){in->note, in->note_len};
	ops->lost = message_lost;
	ops->octet_counting = 1;
	if (H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_audit_syslog_lost_total",
	                     "Audit records that found no room on their way to the collector.", "",
	                     &in->lost) != 0 ||
	    H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_audit_syslog_cut_total",
	                     "Audit records whose texts were cut to fit into a message.", "",
	                     &in->cut) != 0)
		return wrong(cfg, "target", TXT("cannot be counted: too many metrics"));
	switch (H->stream_open(ctx, cfg, ops, &in->stream)) {
	case 0:
		return 0;
	case MERLON_E_INVAL:
		return -1; /* the host has said why */
	default:
		return wrong(cfg, "target", TXT("cannot be opened"));
	}
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = mem_new(1, sizeof(*in));
	struct merlon_stream_ops ops = {.size = sizeof(ops)};
	struct merlon_str digest_key = text_option(cfg, "digest_key");
	int r;

	in->ctx = ctx;
	r = check_format(cfg);
	r |= read_note(cfg, in);
	r |= read_stream(cfg, in, &ops);
	if (r != 0 || open_stream(ctx, cfg, in, &ops) != 0) {
		free(in);
		return -1;
	}
	H->digest_want(ctx, digest_key);
	*inst = in;
	return 0;
}

static void destroy(void *inst)
{
	free(inst);
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	const struct instance *in = inst;
	struct worker *mine = mem_new(1, sizeof(*mine));

	(void)worker;
	mine->recorder.h = H;
	mine->recorder.ctx = in->ctx;
	*w = mine;
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *w)
{
	(void)inst;
	(void)worker;
	free(w);
}

static int32_t refuse(const struct instance *in, merlon_tx *tx)
{
	const struct merlon_fail f = {
	    .size = sizeof(f),
	    .text = TXT("the request cannot be recorded"),
	    .detail = TXT("the queue to the syslog collector does not take the record")};

	H->fail(in->ctx, tx, &f);
	return MERLON_UNAVAIL;
}

static int32_t audit_open(void *inst, void *w, merlon_tx *tx)
{
	const struct instance *in = inst;

	(void)w;
	return H->stream_ready(in->stream, tx, in->max_message) == 0 ? MERLON_OK : refuse(in, tx);
}

/* The whole message, in w's room; len 0: the record does not fit into one. */
static struct merlon_str render(const struct instance *in, merlon_tx *tx, struct worker *w)
{
	const struct merlon_str note = {in->note, in->note_len};
	const struct merlon_fact *status = &w->recorder.facts[MERLON_REC_STATUS];
	enum severity severity = SEVERITY_ERROR;
	char *buf = w->room;
	uint64_t head, room;
	struct merlon_str record;
	bool cut;

	record_read(&w->recorder, tx);
	if (status->type == MERLON_VAL_STR)
		severity = message_severity(status->u.str);
	head = message_head(note, severity, (int64_t)(H->now(MERLON_CLOCK_REAL) / 1000), buf);
	room = in->max_message - head - MESSAGE_TAIL;
	record = record_render_within(&w->recorder, tx, TXT("close"), buf + head, room, &cut);
	if (cut)
		H->metric_add(in->ctx, in->cut, NULL, 1);
	return (struct merlon_str){
	    buf, record.len > 0 ? head + message_close(buf + head, record.len) : 0};
}

static int32_t audit_close(void *inst, void *w, merlon_tx *tx)
{
	const struct instance *in = inst;
	struct merlon_str message = render(in, tx, w);

	if (message.len > 0 && H->stream_send(in->stream, tx, message) == 0)
		return MERLON_OK;
	H->metric_add(in->ctx, in->lost, NULL, 1);
	return refuse(in, tx);
}

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .least_minor = 1,
    .groups = MERLON_AUDIT,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_UNAVAIL),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "audit_syslog",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "One syslog message a request, to a collector.",
    .options = options,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .audit_open = audit_open,
    .audit_close = audit_close,
};

MERLON_MODULE(module, H, 1, 0, MERLON_AUDIT)
