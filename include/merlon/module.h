/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The Merlon module ABI, version 1.
 *
 * A module is a shared object that exports one function, merlon_module_v1(), made by the macro
 * MERLON_MODULE() at the end of this file. It receives a table of host functions and returns a
 * descriptor: a static const table of its own name, options and hooks. A module links against
 * nothing of Merlon.
 *
 * Rules that hold for everything below
 *  - Strings are {ptr,len}, never NUL-terminated unless said. A string handed to a hook lives as
 *    long as its tx; one handed to a body hook lives as long as that call. What a module hands to
 *    the host is copied before the call returns.
 *  - No pointer is ever freed by the other side.
 *  - Hooks of one tx run on that tx's worker thread and never concurrently. The instance is shared
 *    by all workers and read-only after create, unless the module locks; per-worker state belongs
 *    into the worker context.
 *  - Host functions may be called from hooks and from callbacks of the host only. The one
 *    exception is resume(), which any thread may call.
 *  - Tables begin with their size and grow only at the end. A function that lies behind the size
 *    of the table one was given is absent: ask with MERLON_HAS().
 *
 * ABI log
 *  1.0  first version
 *  1.1  http_call, stream_open, stream_send and what they take; stream_call, stream_state,
 *       stream_ready; MERLON_OPT_UPSTREAM, MERLON_OPT_URL, MERLON_E_TIMEOUT
 *  1.2  record_read and struct merlon_fact; how long the texts of a decision live
 */
#ifndef MERLON_MODULE_H
#define MERLON_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MERLON_ABI_MAJOR 1
#define MERLON_ABI_MINOR 2

/* ---- Codes: what a module answers. 0 is no code, so a forgotten answer is an error. ---- */
#define MERLON_OK 1      /* yes: known (auth), allowed (authz), within limits, may pass, recorded */
#define MERLON_IGNORE 2  /* not my business */
#define MERLON_NOCRED 3  /* no credential of my kind (auth); no rule of mine grants (authz) */
#define MERLON_BADCRED 4 /* a credential of my kind that does not hold */
#define MERLON_EXPIRED 5 /* it held once */
#define MERLON_DENIED 6  /* known, and not allowed */
#define MERLON_LIMITED 7 /* allowed, but too much */
#define MERLON_UNAVAIL 8 /* something I depend on does not answer */
#define MERLON_TIMEOUT 9 /* made by the host alone; counts as ERROR from a module */
#define MERLON_ERROR 10  /* I failed */
#define MERLON_REPLY 11  /* I have written the answer with reply() */
#define MERLON_CODE_MAX 11
/* Not a code: the hook called suspend() and will answer once by resume(). */
#define MERLON_PENDING 255
/* One bit a code, for merlon_module.codes. */
#define MERLON_BIT(code) (UINT32_C(1) << (code))

/* ---- Groups of a stack, one bit each ----------------------------------------------------------
 */
#define MERLON_AUTH UINT32_C(1)
#define MERLON_AUTHZ UINT32_C(2)
#define MERLON_RATELIMIT UINT32_C(4)
#define MERLON_FILTER UINT32_C(8)
#define MERLON_AUDIT UINT32_C(16)

/* ---- Flags of a descriptor ---------------------------------------------------------------------
 */
/* May establish an identity (auth) or a permission (authz). Without it the module may veto only. */
#define MERLON_GRANTOR UINT32_C(1)

/* ---- What host functions return: 0, or one of these --------------------------------------------
 */
#define MERLON_E_INVAL (-1)   /* an argument is wrong */
#define MERLON_E_NOENT (-2)   /* no such thing */
#define MERLON_E_FULL (-3)    /* a bound is reached; nothing was taken */
#define MERLON_E_DENIED (-4)  /* not allowed here (read-only key, wrong hook) */
#define MERLON_E_UNAVAIL (-5) /* a file, thread or peer does not serve */
#define MERLON_E_NOTSUP (-6)  /* this host does not offer it */
#define MERLON_E_STATE (-7)   /* not in this state (already suspended, already answered) */
#define MERLON_E_TIMEOUT (-8) /* its time is up (1.1) */

/* ---- Values ---- */
struct merlon_str {
	const char *ptr;
	uint64_t len;
};

#define MERLON_VAL_NONE 0
#define MERLON_VAL_STR 1     /* u.str: text, UTF-8 */
#define MERLON_VAL_BYTES 2   /* u.str: any bytes */
#define MERLON_VAL_I64 3     /* u.i64 */
#define MERLON_VAL_F64 4     /* u.f64 */
#define MERLON_VAL_BOOL 5    /* u.i64, 0 or 1 */
#define MERLON_VAL_STRLIST 6 /* u.list, count entries */

struct merlon_val {
	uint32_t type;  /* MERLON_VAL_* */
	uint32_t count; /* entries of u.list */
	union {
		struct merlon_str str;
		int64_t i64;
		double f64;
		const struct merlon_str *list;
	} u;
};

/* ---- Opaque handles ---- */
typedef struct merlon_ctx merlon_ctx; /* the host's side of one instance: one line of a stack */
typedef struct merlon_tx merlon_tx;   /* one request and its response */
typedef struct merlon_worker merlon_worker; /* one worker thread */
typedef struct merlon_cfg merlon_cfg;       /* options, or a part of them */
typedef struct merlon_op merlon_op;         /* something asynchronous under way */
typedef struct merlon_zone merlon_zone;     /* fixed-size records by key, outliving generations */
typedef struct merlon_sink merlon_sink;     /* an append-only file */
typedef struct merlon_shared merlon_shared; /* a refcounted object, outliving generations */
typedef struct merlon_stream merlon_stream; /* lasting connections to one endpoint (1.1) */

/* ---- Options ---- */
#define MERLON_OPT_STR 1
#define MERLON_OPT_INT 2   /* range "1..65535", either side may be missing */
#define MERLON_OPT_FLOAT 3 /* range "0..1" */
#define MERLON_OPT_BOOL 4
#define MERLON_OPT_DURATION                                                                        \
	5 /* "250ms", "30s", "5m", "1h", "90d"; read as I64 nanoseconds; range in the same form */
#define MERLON_OPT_SIZE 6    /* "16M"; read as I64 bytes */
#define MERLON_OPT_RATE 7    /* "100/1m"; read with cfg_rate() */
#define MERLON_OPT_ENUM 8    /* range "one|other" */
#define MERLON_OPT_STRLIST 9 /* array or list of strings; one string counts as a list of one */
#define MERLON_OPT_GROUP 10  /* { ... }, its keys in sub */
#define MERLON_OPT_LIST 11   /* ( {...}, {...} ), the keys of each in sub */
#define MERLON_OPT_PATH                                                                            \
	12 /* a file's name; read as absolute text, relative to the file that names it */
#define MERLON_OPT_FILE                                                                            \
	13 /* a file that the host reads (owner and mode checked, up to 64 MiB); read as BYTES */
#define MERLON_OPT_CONFFILE                                                                        \
	14 /* a file in libconfig's grammar, read and checked by the host against sub; read with   \
	      cfg_at() */
#define MERLON_OPT_SECRET                                                                          \
	15 /* "file:/path", "env:NAME", "cred:NAME", or the secret itself; read as BYTES */
#define MERLON_OPT_ANY 16      /* a tree whose keys the module walks by itself with cfg_key() */
#define MERLON_OPT_UPSTREAM 17 /* the name of an upstream of the configuration (1.1) */
#define MERLON_OPT_URL                                                                             \
	18 /* "https://host[:port][/path]" or http; the host keeps an upstream for its origin,     \
	      with the system's certificate authorities (1.1) */

#define MERLON_OPT_REQUIRED UINT32_C(1)

/* One row an option. Rows are merlon_module.option_size apart; a table of sub ends with key NULL.
 */
struct merlon_option {
	const char *key;
	uint32_t type;                   /* MERLON_OPT_* */
	uint32_t flags;                  /* MERLON_OPT_REQUIRED */
	const char *def;                 /* default as it would stand in a file, or NULL */
	const char *range;               /* see the types, or NULL */
	const struct merlon_option *sub; /* GROUP, LIST, CONFFILE */
	const char *help;                /* one sentence; the manual page is made of it */
};

/* ---- Directions of a message ---- */
#define MERLON_REQUEST 0
#define MERLON_RESPONSE 1

/* ---- Bodies ---- */
#define MERLON_BODY_NONE 0
#define MERLON_BODY_STREAM 1 /* each chunk as it passes */
#define MERLON_BODY_FULL 2   /* once, whole; over max: 413 (request), broken off (response) */
#define MERLON_BODY_END UINT32_C(1) /* flag of the body hook: nothing follows */

#define MERLON_EDIT_REPLACE 0 /* these bytes instead of the chunk */
#define MERLON_EDIT_APPEND 1  /* the chunk, then these bytes */
#define MERLON_EDIT_DROP 2    /* nothing of the chunk */

/* ---- Header edits ---- */
#define MERLON_HDR_SET 0 /* the only field of that name */
#define MERLON_HDR_ADD 1
#define MERLON_HDR_DEL 2

struct merlon_header {
	struct merlon_str name;
	struct merlon_str value;
};

/* ---- Why: told with fail(), read by the client (text) and by the log (detail) ---- */
struct merlon_fail {
	uint32_t size;               /* sizeof(struct merlon_fail) */
	uint32_t retry_after_ms;     /* 0: none. Sent as Retry-After in whole seconds, rounded up */
	struct merlon_str text;      /* for the client; no secret, no name of an inner part */
	struct merlon_str detail;    /* for the audit record's reason */
	struct merlon_str challenge; /* a WWW-Authenticate value, auth group only */
};

/* ---- Reasons given to the cancel hook ---- */
#define MERLON_CANCEL_CLIENT 1   /* the client is gone */
#define MERLON_CANCEL_TIMEOUT 2  /* the line or its group took too long */
#define MERLON_CANCEL_SHUTDOWN 3 /* the process ends */

/* ---- How a tx ended, given to settle ---- */
#define MERLON_END_SUCCESS 1
#define MERLON_END_DENIED 2
#define MERLON_END_LIMITED 3
#define MERLON_END_ERROR 4
#define MERLON_END_ABORTED 5

struct merlon_summary {
	uint32_t size;
	uint32_t end;         /* MERLON_END_* */
	uint32_t http_status; /* as sent to the client; 0: none was sent */
	uint32_t entered;     /* 1: the request reached the upstream */
	int64_t tokens_in;    /* -1: unknown */
	int64_t tokens_out;   /* -1: unknown */
	uint64_t duration_ns;
};

/* ---- The audit record: fields read with record_get() in the audit hooks ---- */
#define MERLON_REC_TIMESTAMP 1 /* I64: microseconds since 1970, the request's start */
#define MERLON_REC_REQUEST_ID 2
#define MERLON_REC_USER_ID 3
#define MERLON_REC_ORG 4
#define MERLON_REC_CREDENTIAL 5
#define MERLON_REC_AUTH_METHOD 6
#define MERLON_REC_MODEL_ID 7
#define MERLON_REC_ACTION 8
#define MERLON_REC_STATUS 9 /* success denied limited error aborted */
#define MERLON_REC_REASON 10
#define MERLON_REC_HTTP_STATUS 11 /* I64 */
#define MERLON_REC_DURATION_US 12 /* I64 */
#define MERLON_REC_UPSTREAM_US 13 /* I64 */
#define MERLON_REC_INPUT_HASH                                                                      \
	14 /* "sha256:<hex>" or "hmac-sha256:<hex>"; only after digest_want() */
#define MERLON_REC_OUTPUT_HASH 15
#define MERLON_REC_INPUT_BYTES 16  /* I64 */
#define MERLON_REC_OUTPUT_BYTES 17 /* I64 */
#define MERLON_REC_TOKENS_IN 18    /* I64 */
#define MERLON_REC_TOKENS_OUT 19   /* I64 */
#define MERLON_REC_COST 20         /* F64 */
#define MERLON_REC_SOURCE_IP 21
#define MERLON_REC_METHOD 22
#define MERLON_REC_PATH 23
#define MERLON_REC_ROUTE 24
#define MERLON_REC_STACK 25
#define MERLON_REC_STREAM 26     /* BOOL: the answer was streamed */
#define MERLON_REC_GENERATION 27 /* I64 */
#define MERLON_REC_COUNT 28      /* one more than the last one of this header (1.2) */

/* A field as record_read() gives it (1.2). It stands in arrays, so it never grows. */
struct merlon_fact {
	uint32_t type;  /* MERLON_VAL_STR, _I64, _F64, _BOOL (in i64), or _NONE: unknown */
	uint32_t flags; /* MERLON_FACT_* */
	union {
		struct merlon_str str;
		int64_t i64;
		double f64;
	} u;
};
/* A text that the host vouches for: bytes of 0x20 to 0x7e, neither '"' nor '\\'. Where the flag is
 * missing nothing is said of it. */
#define MERLON_FACT_PLAIN UINT32_C(1)

/* One line's answer, in the order they were given. Of a host of 1.2 or later the texts but policy
 * live as long as the instance that reads them, and do not change. */
struct merlon_decision {
	uint32_t size;
	uint32_t shadow; /* 0 or 1 */
	struct merlon_str group;
	struct merlon_str line;   /* the line's name */
	struct merlon_str module; /* or the included stack's name */
	struct merlon_str code;   /* "OK", "DENIED", ... */
	struct merlon_str policy; /* as told with policy(), or empty */
};

/* ---- Sinks: how records become bytes of the file ---- */
#define MERLON_SINK_RECORD 0 /* data: what sink_append() was given */
#define MERLON_SINK_TORN 1   /* data: the name of the file a torn last line was moved to */

/* Output of a framing function. Its bytes reach the file whole and in order, or not at all. */
struct merlon_sink_out {
	char *ptr; /* room for cap bytes */
	uint64_t cap;
	uint64_t len; /* to be set by the function */
};

struct merlon_sink_ops {
	uint32_t size;
	uint32_t state_size; /* bytes of state, zeroed at first; at most 256 */
	uint32_t overhead;   /* most bytes that frame() adds to a record */
	uint32_t reserved;
	/* Sets the state from the last whole line of the newest file, its LF left out; line.len 0:
	 * there is none. Returns 0, or -1: the line is damaged and the sink must not be used. At
	 * start, on the writer's thread. */
	int32_t (*init)(void *state, struct merlon_str line);
	/* Frames one record; called in write order on the writer's thread. kind is MERLON_SINK_*.
	 * time_us: microseconds since 1970, for kinds other than RECORD. Returns 0, or -1: drop it.
	 */
	int32_t (*frame)(void *state, uint32_t kind, int64_t time_us, struct merlon_str data,
	                 struct merlon_sink_out *out);
};

/* ---- Callbacks ---- */
/* A header, attribute or key found; return 0 to go on. */
typedef int32_t (*merlon_header_fn)(void *arg, struct merlon_str name, struct merlon_str value);
typedef int32_t (*merlon_attr_fn)(void *arg, struct merlon_str key, const struct merlon_val *val);
/* Runs under the shard's lock: no host call but now(), no waiting. rec is zeroed when fresh is 1.
 * Returns the monotonic time in ns after which the record says nothing and may be dropped. */
typedef uint64_t (*merlon_zone_fn)(void *rec, uint32_t fresh, void *arg);
typedef void (*merlon_timer_fn)(void *arg);
#define MERLON_FD_READ UINT32_C(1)
#define MERLON_FD_WRITE UINT32_C(2)
typedef void (*merlon_fd_fn)(void *arg, int32_t fd, uint32_t ready);
typedef void (*merlon_work_fn)(
    void *arg); /* on a pool thread; calls no host function but resume, now */
typedef void (*merlon_done_fn)(
    void *arg, int32_t cancelled); /* on the worker; cancelled is always 0: see offload */
typedef void *(*merlon_build_fn)(void *arg);
typedef void (*merlon_free_fn)(void *obj);

/* ---- HTTP calls (1.1) ---- */
struct merlon_http_request {
	uint32_t size;
	uint32_t timeout_ms; /* for all of it, at most 600000; 0: 5000 */
	uint64_t max_body;   /* of the answer, at most 16 MiB; 0: 1 MiB */
	/* The value of an UPSTREAM or URL option; of a URL its origin counts. Nothing else can be
	 * reached. */
	struct merlon_str upstream;
	struct merlon_str method; /* a token in capitals */
	struct merlon_str target; /* "/path?query" */
	/* At most 64; framing, hop-by-hop names and Accept-Encoding are refused. Host: the name
	 * that the server is asked by, where it is not the upstream's own. */
	const struct merlon_header *headers;
	uint32_t nheaders;
	uint32_t reserved;
	struct merlon_str body; /* at most 1 MiB */
	/* Not empty: calls of this build of the module to one upstream that are under way with the
	 * same flight, on whatever worker, are one call, and all are told its answer. */
	struct merlon_str flight;
};

/* Lives as long as the callback. Redirects are not followed. */
struct merlon_http_response {
	uint32_t size;
	/* 0; MERLON_E_UNAVAIL: no answer, or a broken one; _TIMEOUT; _FULL: larger than max_body */
	int32_t error;
	uint32_t status; /* 0 with an error */
	uint32_t nheaders;
	const struct merlon_header *headers;
	struct merlon_str body;
	struct merlon_str detail; /* what went wrong, for logs and reasons; no secret */
};
typedef void (*merlon_http_fn)(void *arg, const struct merlon_http_response *res);

/* ---- Streams (1.1): connections that the host keeps, one a worker and endpoint ---------------
 * All that is written here is the stream's name: instances of any generation that open the same
 * thing share its connections, so a reload does not reconnect. The strings are copied. The
 * functions belong to the build, not to an instance: they may run after the instance has gone.
 */
struct merlon_stream_ops {
	uint32_t size;
	uint32_t connect_timeout_ms; /* until the greeting is answered; 0: 5000 */
	uint32_t stall_ms;           /* a call waits longer: its connection is given up; 0: 5000 */
	uint32_t greetings;          /* how many messages answer the greeting */
	uint64_t max_queue;          /* bytes not yet written, on a worker; 0: 1 MiB */
	/* "tcp:HOST:PORT", "tls:HOST:PORT", "udp:HOST:PORT", "unix:/PATH" (a stream socket, or a
	 * datagram one) */
	struct merlon_str endpoint;
	/* tls: absolute file names; empty ca: the system's. server_name empty: HOST. Verified
	 * always. */
	struct merlon_str ca, certificate, key, server_name;
	struct merlon_str greeting; /* sent first on each connection; may hold secrets */
	struct merlon_str note;     /* handed to lost() */
	/* What decodes one connection's input; NULL: the peer's bytes are read and dropped. */
	void *(*decoder_new)(void);
	void (*decoder_free)(void *dec);
	/* Takes bytes and answers 1: *msg is a whole message; 0: more bytes are needed; -1:
	 * nonsense, the connection ends. After 1 it is called again, with no bytes. */
	int32_t (*decode)(void *dec, struct merlon_str bytes, void **msg);
	void (*message_free)(void *msg);
	/* Answer number i to the greeting. 0: go on; else the connection ends. */
	int32_t (*greeted)(uint32_t i, const void *msg);
	/* `count` messages of stream_send() found no room; there is some again: writes a message
	 * that says so, and returns its length. NULL: nothing is said. */
	uint64_t (*lost)(struct merlon_str note, uint64_t count, int64_t time_us, char *buf,
	                 uint64_t cap);
	/* 1: before each message but on a datagram socket goes its length, in decimal, and a space
	 * (octet counting, RFC 6587): which kind a unix socket is shows when it is connected. */
	uint32_t octet_counting;
	uint32_t reserved;
};
#define MERLON_STREAM_DOWN 0 /* not connected; it will be tried again */
#define MERLON_STREAM_CONNECTING                                                                   \
	1 /* the first attempt, or the first after a connection that was up */
#define MERLON_STREAM_UP 2
/* error: 0, MERLON_E_UNAVAIL (the connection ended first), MERLON_E_TIMEOUT. */
typedef void (*merlon_stream_fn)(void *arg, int32_t error, const void *msg);

/* ---- Log levels, clocks, metrics, context ---- */
#define MERLON_LOG_ERROR 3
#define MERLON_LOG_WARN 4
#define MERLON_LOG_NOTICE 5
#define MERLON_LOG_INFO 6
#define MERLON_LOG_DEBUG 7
#define MERLON_CLOCK_MONOTONIC 0
#define MERLON_CLOCK_REAL 1 /* since 1970 */
#define MERLON_METRIC_COUNTER 0
#define MERLON_METRIC_GAUGE 1
#define MERLON_CTX_STACK 1  /* the stack's name */
#define MERLON_CTX_GROUP 2  /* "auth", "authz", ... */
#define MERLON_CTX_LINE 3   /* the line's name */
#define MERLON_CTX_MODULE 4 /* the module's name */

/* ==== The host's functions ==== */
struct merlon_host {
	uint32_t size;
	uint16_t major;
	uint16_t minor;

	/* -- log, clock, context; any hook -- */
	/* Writes a line; tx may be NULL. Never hand a secret to it. */
	void (*log)(merlon_ctx *ctx, merlon_tx *tx, int32_t level, struct merlon_str text);
	/* Nanoseconds on a MERLON_CLOCK_*; cached for a turn of the worker's loop. */
	uint64_t (*now)(int32_t clock);
	/* A fact of MERLON_CTX_*; empty if unknown. Lives as long as the instance. */
	struct merlon_str (*ctx_info)(merlon_ctx *ctx, int32_t what);
	/* 1: this process only checks a configuration (-t, --probe, explain): connect to nobody. */
	int32_t (*probing)(merlon_ctx *ctx);

	/* -- options; create only -- */
	/* The option's value, or its default. MERLON_E_NOENT: there is neither. The key "" reads an
	 * element itself. Values live until create returns; files and secrets are wiped then. */
	int32_t (*cfg_get)(const merlon_cfg *cfg, const char *key, struct merlon_val *out);
	/* A RATE: count per window_ns. */
	int32_t (*cfg_rate)(const merlon_cfg *cfg, const char *key, int64_t *count,
	                    int64_t *window_ns);
	/* Elements of a LIST, STRLIST, GROUP (1) or CONFFILE (1) that is written; 0 if it is not.
	 */
	uint32_t (*cfg_count)(const merlon_cfg *cfg, const char *key);
	/* Element i of a LIST; a GROUP or CONFFILE is element 0. NULL if there is none. */
	const merlon_cfg *(*cfg_at)(const merlon_cfg *cfg, const char *key, uint32_t i);
	/* Name of the i-th key written in this part; ptr NULL past the last. For MERLON_OPT_ANY. */
	struct merlon_str (*cfg_key)(const merlon_cfg *cfg, uint32_t i);
	/* Where the key stands. file lives as long as the process. */
	int32_t (*cfg_where)(const merlon_cfg *cfg, const char *key, struct merlon_str *file,
	                     uint32_t *line);
	/* Says what is wrong with the key; the configuration is then refused. Go on and say all. */
	void (*cfg_error)(const merlon_cfg *cfg, const char *key, struct merlon_str text);
	/* The same for line `line` (0: all) of the file that the FILE option `key` names. */
	void (*cfg_file_error)(const merlon_cfg *cfg, const char *key, uint32_t line,
	                       struct merlon_str text);
	/* As cfg_error, but only a warning. */
	void (*cfg_warn)(const merlon_cfg *cfg, const char *key, struct merlon_str text);

	/* -- metrics; define in create, add anywhere. labels: names divided by commas, or "" -- */
	int32_t (*metric_define)(merlon_ctx *ctx, int32_t kind, const char *name, const char *help,
	                         const char *labels, uint32_t *id);
	void (*metric_add)(merlon_ctx *ctx, uint32_t id, const struct merlon_str *label_values,
	                   int64_t by);

	/* -- the tx's memory -- */
	/* size bytes, zeroed, aligned to 16, freed with the tx. NULL: over 64 KiB for one call. */
	void *(*tx_alloc)(merlon_tx *tx, uint64_t size);
	/* This line's block of merlon_module.slot_size bytes, zeroed when the tx began. */
	void *(*tx_slot)(merlon_ctx *ctx, merlon_tx *tx);
	/* The worker the tx lives on. */
	merlon_worker *(*tx_worker)(merlon_tx *tx);

	/* -- attributes: id.* res.* net.* tls.* req.* llm.* action x.<module>.* -- */
	int32_t (*attr_get)(merlon_tx *tx, struct merlon_str key, struct merlon_val *out);
	/* id.* by a grantor in auth only; x.<module>.* by anyone. What the line may not establish
	 * is dropped without an error, as is everything it wrote if it does not answer OK.
	 * MERLON_E_DENIED: a key of the host's. MERLON_E_FULL: modules have set over 64 keys or 16
	 * KiB. After an error about id.* an OK counts as ERROR, since a part of the identity would
	 * be missing. */
	int32_t (*attr_set)(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str key,
	                    const struct merlon_val *val);
	/* Every attribute whose key begins with prefix; returns what the callback did. */
	int32_t (*attr_each)(merlon_tx *tx, struct merlon_str prefix, merlon_attr_fn fn, void *arg);

	/* -- headers -- */
	/* Field number `index` (from 0) of that name, case folded. Edits already made are seen. */
	int32_t (*header_get)(merlon_tx *tx, int32_t dir, struct merlon_str name, uint32_t index,
	                      struct merlon_str *out);
	int32_t (*header_each)(merlon_tx *tx, int32_t dir, merlon_header_fn fn, void *arg);
	/* REQUEST: filter group's head hook only. RESPONSE: any hook before the answer's head has
	 * left, be it the gateway's own. Framing, hop-by-hop, reserved names: MERLON_E_DENIED. */
	int32_t (*header_edit)(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, int32_t op,
	                       struct merlon_str name, struct merlon_str value);

	/* -- answers -- */
	/* The gateway answers with this and contacts nobody; then return MERLON_REPLY. 200 <=
	 * status <= 599, body at most 64 KiB. MERLON_E_STATE: the answer's head has left. */
	int32_t (*reply)(merlon_ctx *ctx, merlon_tx *tx, uint32_t status,
	                 const struct merlon_header *headers, uint32_t nheaders,
	                 struct merlon_str body);
	/* Why the code that follows is not OK. The last call of a hook counts. */
	void (*fail)(merlon_ctx *ctx, merlon_tx *tx, const struct merlon_fail *fail);
	/* Which rule or policy made the answer, for the audit record and explain. */
	void (*policy)(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str name);

	/* -- bodies; filter group -- */
	/* From the head hook: which body chunks the body hook wants. max: for FULL, bytes. */
	int32_t (*body_want)(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, uint32_t mode,
	                     uint64_t max);
	/* From the body hook: what passes in place of the chunk. */
	int32_t (*body_edit)(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, uint32_t op,
	                     struct merlon_str bytes);

	/* -- waiting -- */
	/* The hook will return MERLON_PENDING; the tx waits for resume(token). timeout_ms 0, or
	 * longer than the line's timeout: the line's. MERLON_E_STATE: settle, or suspended already.
	 */
	int32_t (*suspend)(merlon_ctx *ctx, merlon_tx *tx, uint32_t timeout_ms, uint64_t *token);
	/* Any thread, at any time, even before the hook has returned. The first call for a token
	 * counts; late and unknown tokens are counted and dropped. */
	void (*resume)(uint64_t token, int32_t code);

	/* -- asynchronous work. With a tx: on its worker, cancelled when it ends. With a worker and
	 * tx NULL: on that worker, cancelled when the instance goes. Nothing fires after its
	 * cancel. op may be NULL. MERLON_E_FULL: over 64 a tx or 4,096 an instance; the offload
	 * queue is full. -- */
	int32_t (*timer)(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, uint64_t ms,
	                 merlon_timer_fn fn, void *arg, merlon_op **op);
	/* Fires until cancelled, while fd is ready. The module closes fd, after the cancel. */
	int32_t (*watch_fd)(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, int32_t fd,
	                    uint32_t events, merlon_fd_fn fn, void *arg, merlon_op **op);
	/* Runs work on a bounded pool, then done on the worker. After a cancel done does not
	 * follow; a job that waited does not begin, one that runs goes on to its end, and which of
	 * the two it was is not told. So arg must live until done is called or until destroy, which
	 * comes when no job of the instance runs any more: let the instance own it, not the tx and
	 * not a worker's context. */
	int32_t (*offload)(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, merlon_work_fn work,
	                   merlon_done_fn done, void *arg, merlon_op **op);
	/* Idempotent until the op has fired or was cancelled; the handle is dead then. */
	void (*op_cancel)(merlon_op *op);

	/* -- zones; open in create, update in hooks -- */
	/* Records of rec_size (at most 4096) bytes, at most max_records. The host names the zone
	 * after stack/group/line, or after the line's option `zone`. signature: the key expression
	 * and the windows; if it differs from the running zone's, an empty zone is begun and the
	 * operator is told. */
	int32_t (*zone_open)(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str signature,
	                     uint32_t rec_size, uint64_t max_records, merlon_zone **out);
	/* Runs fn on the record of the key. MERLON_E_FULL: no room, and none that may be dropped.
	 * tx: the tx on whose behalf, so that explain changes nothing. */
	int32_t (*zone_update)(merlon_zone *zone, merlon_tx *tx, struct merlon_str key,
	                       merlon_zone_fn fn, void *arg);

	/* -- sinks; open in create, append in audit hooks -- */
	/* The file at `path` (as read from a PATH option). commit_ms: how long a record may wait.
	 * All openers of one path must give the same ops sizes; those of the newest are used. */
	int32_t (*sink_open)(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str path,
	                     uint32_t commit_ms, const struct merlon_sink_ops *ops,
	                     merlon_sink **out);
	/* The record will be written. MERLON_E_UNAVAIL: the file failed. MERLON_E_FULL: no room. */
	int32_t (*sink_append)(merlon_sink *sink, merlon_tx *tx, struct merlon_str record);
	/* 0: a record of `room` bytes would be taken now. */
	int32_t (*sink_ready)(merlon_sink *sink, merlon_tx *tx, uint64_t room);

	/* -- shared objects; create and worker_start -- */
	/* The object of that key made by this build of the module, or build(arg)'s. free_fn runs
	 * when the last holder has put it. build NULL result: MERLON_E_UNAVAIL. */
	int32_t (*shared_get)(merlon_ctx *ctx, struct merlon_str key, merlon_build_fn build,
	                      merlon_free_fn free_fn, void *arg, merlon_shared **out);
	void *(*shared_ptr)(merlon_shared *obj);
	void (*shared_put)(merlon_shared *obj);

	/* -- audit -- */
	/* create: records of this stack shall carry body digests; key empty: SHA-256, else
	 * HMAC-SHA-256. */
	int32_t (*digest_want)(merlon_ctx *ctx, struct merlon_str key);
	/* Audit hooks only: a field of MERLON_REC_*. MERLON_E_NOENT: unknown here (JSON null). */
	int32_t (*record_get)(merlon_ctx *ctx, merlon_tx *tx, uint32_t field,
	                      struct merlon_val *out);
	/* Decision number i (from 0); MERLON_E_NOENT past the last. The caller sets out->size. */
	int32_t (*record_decision)(merlon_tx *tx, uint32_t i, struct merlon_decision *out);

	/* -- HTTP calls and streams (1.1) -- */
	/* As for timer(): with a tx, or with a worker. done runs on that worker, once, never from
	 * within the call. MERLON_E_NOENT: no such upstream. MERLON_E_INVAL: a bad head.
	 * MERLON_E_UNAVAIL: probing, or the worker stops. */
	int32_t (*http_call)(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
	                     const struct merlon_http_request *req, merlon_http_fn done, void *arg,
	                     merlon_op **op);
	/* create. Connections are begun when workers start. MERLON_E_INVAL: what is wrong has been
	 * said with cfg_error() at cfg. Put back with the instance. */
	int32_t (*stream_open)(merlon_ctx *ctx, const merlon_cfg *cfg,
	                       const struct merlon_stream_ops *ops, merlon_stream **out);
	/* One whole message that has no answer, on the tx's worker; it is kept over reconnects, and
	 * one that was cut by the end of a connection is sent again whole. MERLON_E_FULL: no room;
	 * it is counted as lost. An explain's tx sends nothing. */
	int32_t (*stream_send)(merlon_stream *stream, merlon_tx *tx, struct merlon_str bytes);
	/* One whole message that has one answer; answers come in the order of calls. A call that
	 * was cancelled or timed out is still waited for on its connection, and its answer dropped.
	 * tx or w as for timer(); done likewise. It is not sent twice. One of no tx is sent even
	 * if its instance goes first. MERLON_E_FULL: no room. MERLON_E_UNAVAIL: the stream is down,
	 * or this is an explain. */
	int32_t (*stream_call)(merlon_stream *stream, merlon_ctx *ctx, merlon_worker *w,
	                       merlon_tx *tx, struct merlon_str bytes, uint32_t timeout_ms,
	                       merlon_stream_fn done, void *arg, merlon_op **op);
	/* MERLON_STREAM_* of this worker's connection. */
	int32_t (*stream_state)(merlon_stream *stream, merlon_worker *w);
	/* 0: stream_send() would take a message of `room` bytes now. MERLON_E_FULL: it would not.
	 */
	int32_t (*stream_ready)(merlon_stream *stream, merlon_tx *tx, uint64_t room);

	/* -- the audit record at once (1.2) -- */
	/* Audit hooks only: facts[i] becomes the field i of MERLON_REC_* for each i under count;
	 * what this host or header does not know, and 0, become NONE. The texts live until the hook
	 * returns. Answers how many bytes all the texts given have together, so that room for them
	 * can be looked at once. */
	uint64_t (*record_read)(merlon_ctx *ctx, merlon_tx *tx, struct merlon_fact *facts,
	                        uint32_t count);
};

/* Whether this host offers fn. */
#define MERLON_HAS(host, fn)                                                                       \
	((host)->size >= offsetof(struct merlon_host, fn) + sizeof((host)->fn) && (host)->fn)

/* ==== What a module is ==== */
struct merlon_module {
	uint32_t size; /* sizeof(struct merlon_module) */
	uint16_t major;
	uint16_t minor;       /* of the header it was built with */
	uint16_t least_minor; /* the oldest host it can do with */
	uint16_t reserved;
	uint32_t flags;        /* MERLON_GRANTOR */
	uint32_t groups;       /* where it may stand */
	uint32_t codes;        /* MERLON_BIT() of every code it may answer */
	uint32_t slot_size;    /* bytes of tx_slot(), at most 4096 */
	uint32_t option_size;  /* sizeof(struct merlon_option) */
	uint32_t option_count; /* rows of options, without an ending row */
	const char *name;      /* as in the configuration; begins with the group it mainly serves */
	const char *version;
	const char *license;
	const char *summary; /* one sentence */
	const struct merlon_option *options;
	const char *const *reads;  /* attributes it may read, NULL at the end; or NULL */
	const char *const *writes; /* attributes it may write, likewise */

	/* -- hooks; each may be NULL. inst: of create. w: of worker_start -- */
	/* Control thread. Checks the options and makes the instance: no network, no writes, no
	 * waiting. Returns 0, or -1 after cfg_error(). ctx lives as long as the instance. */
	int32_t (*create)(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst);
	/* Control thread, after the last tx and every worker_stop. */
	void (*destroy)(void *inst);
	/* On each worker before the first tx; here fetching may begin. Returns 0, or -1: the reload
	 * is refused. */
	int32_t (*worker_start)(void *inst, merlon_worker *worker, void **w);
	void (*worker_stop)(void *inst, merlon_worker *worker, void *w);
	/* Control thread: no new tx will come. */
	void (*retire)(void *inst);
	/* auth, authz and ratelimit groups (`group` says which). Returns a code or PENDING. */
	int32_t (*check)(void *inst, void *w, merlon_tx *tx, uint32_t group);
	/* Filter group, once each direction (`dir`). Returns a code or MERLON_PENDING. */
	int32_t (*head)(void *inst, void *w, merlon_tx *tx, int32_t dir);
	/* Filter group, for chunks asked for with body_want(). OK and IGNORE let pass. */
	int32_t (*body)(void *inst, void *w, merlon_tx *tx, int32_t dir, struct merlon_str chunk,
	                uint32_t flags);
	/* The suspension `token` will not be waited for any more; a resume of it does nothing. */
	void (*cancel)(void *inst, void *w, merlon_tx *tx, uint64_t token, uint32_t reason);
	/* Once for every module that was entered, last first, when the tx has ended; no suspend. */
	void (*settle)(void *inst, void *w, merlon_tx *tx, const struct merlon_summary *summary);
	/* Audit group: before the upstream is contacted; when all is known. Code or PENDING. */
	int32_t (*audit_open)(void *inst, void *w, merlon_tx *tx);
	int32_t (*audit_close)(void *inst, void *w, merlon_tx *tx);
};

/* ==== The ELF note and the entry ==== */
#define MERLON_NOTE_SECTION ".note.merlon"
#define MERLON_NOTE_OWNER "Merlon"
#define MERLON_NOTE_TYPE 1
#define MERLON_ENTRY "merlon_module_v1"

/* Read by the host before any code of the module runs. */
struct merlon_note {
	uint32_t namesz; /* 7 */
	uint32_t descsz; /* 16 */
	uint32_t type;   /* MERLON_NOTE_TYPE */
	char name[8];    /* "Merlon", padded to 8 */
	uint16_t major;
	uint16_t minor;
	uint16_t least_minor;
	uint16_t reserved;
	uint32_t flags;
	uint32_t groups;
};

#define MERLON_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
#define MERLON_EXTERN_C extern "C"
#else
#define MERLON_EXTERN_C extern
#endif

/*
 * Emits the note and the entry. `descriptor` is a static const struct merlon_module; `hostvar` is a
 * static const struct merlon_host * that the entry sets; flags and groups as in the descriptor.
 *
 *     static const struct merlon_host *H;
 *     static const struct merlon_module module = { ... };
 *     MERLON_MODULE(module, H, 0, MERLON_GRANTOR, MERLON_AUTH)
 */
/* clang-format off */
#define MERLON_MODULE(descriptor, hostvar, least, flags_, groups_)                                 \
	__attribute__((section(MERLON_NOTE_SECTION), used, aligned(4)))                            \
	static const struct merlon_note merlon_note_ = {                                           \
		sizeof(MERLON_NOTE_OWNER), 16, MERLON_NOTE_TYPE, MERLON_NOTE_OWNER,                \
		MERLON_ABI_MAJOR, MERLON_ABI_MINOR, (least), 0, (flags_), (groups_)};              \
	MERLON_EXTERN_C MERLON_EXPORT const struct merlon_module *merlon_module_v1(                \
		const struct merlon_host *host);                                                   \
	const struct merlon_module *merlon_module_v1(const struct merlon_host *host)               \
	{                                                                                          \
		(hostvar) = host;                                                                  \
		return &(descriptor);                                                              \
	}
/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif
