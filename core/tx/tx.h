/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The transaction: one request and its response, from its first byte to its audit record. tx.c
 * holds the table of its steps; a step says what is next and only the driver calls steps.
 *
 * Owned by its conn (explain: by the caller). Everything it points at lives in its arena, in the
 * generation it pins, or in slices it holds. Lives and dies on one worker.
 */
#ifndef TX_TX_H
#define TX_TX_H

#include "api/api.h"
#include "base/hash.h"
#include "http/body.h"
#include "http/parse.h"
#include "stack/run.h"
#include "tx/conn.h"
#include "upstream/exchange.h"

enum step_result {
	STEP_NEXT,   /* go on with the next step */
	STEP_WAIT,   /* an event will call this step again */
	STEP_REFUSE, /* tx->refusal is set: answer it */
	STEP_ABORT,  /* nobody is left to answer: settle and record */
};
typedef enum step_result step_fn(merlon_tx *tx);

/* In the order of the table in tx.c. */
enum step_id {
	S_ACCEPT,
	S_PARSE,
	S_RESOLVE,
	S_AUTH,
	S_BODY,
	S_AUTHZ,
	S_RATELIMIT,
	S_FILTER,
	S_OPEN,
	S_UPSTREAM,
	S_RESPONSE,
	S_REPLY,
	S_SETTLE,
	S_AUDIT,
	S_COUNT
};

/* An answer of the gateway's own. */
struct refusal {
	unsigned status;
	struct str code;    /* for the client's program: "invalid_api_key" */
	struct str message; /* for people */
	struct str reason;  /* for the record: "auth: NOCRED: no API key was given" */
	uint32_t end;       /* MERLON_END_* */
	uint32_t retry_after_s;
	struct str allow; /* of a 405 */
	bool close;
	/* REPLY: a module's own */
	bool own;
	struct merlon_header *headers;
	unsigned nheaders;
	struct str body;
};
struct edit {
	struct edit *next;
	int op;                /* MERLON_HDR_* */
	enum http_field_id id; /* of the name */
	struct str name;
	struct str value; /* text */
	char text[];
};
struct decision {
	const struct stack_line *line;
	int32_t code;
	bool shadow; /* the line's, or an include's around it */
	struct str policy;
	const struct merlon_fail *fail; /* as told by the hook; NULL: nothing was */
};
struct challenge {
	struct challenge *next;
	struct str value;
};
/* A module's body subscription, one direction. */
struct body_filter {
	const struct stack_line *line;
	bool shadow;
	uint32_t mode; /* MERLON_BODY_* */
	uint64_t max;
	struct chain held; /* FULL: what has come so far */
};
#define FILTERS_MAX 16
/* Bytes on their way through the filters of one direction. */
struct body_path {
	struct body_filter *f; /* FILTERS_MAX of them, from the first subscription on */
	unsigned n;
	struct chain in;    /* not filtered yet */
	struct chain out;   /* filtered, to be sent */
	bool ended;         /* nothing follows `in` */
	bool done;          /* `out` is the rest */
	bool waiting;       /* a filter is suspended */
	unsigned at;        /* the filter that is */
	unsigned mark;      /* attributes before its hook */
	struct slice chunk; /* its chunk */
	bool chunk_end;
	int edit_op; /* of the hook under way: -1: none */
	struct slice edit;
};

#define TX_DIGESTS STACK_DIGESTS_MAX
struct merlon_tx {
	struct tx_base base; /* first: see stack/ledger.h */
	struct arena arena;
	struct worker *w;
	struct conn *c;        /* NULL: the client has gone */
	struct gen_worker *gw; /* pinned */
	const struct gen_route *route;
	const struct stack *stack;      /* the route's, or the fallback */
	const struct conf_model *model; /* of the catalogue; NULL: not known, or not in it */
	unsigned upstream; /* index into conf->upstreams: the model's, or the route's */
	enum step_id step;
	bool running;    /* the driver is on the stack */
	bool again;      /* an event came meanwhile */
	bool step_began; /* the step under way has been entered before */
	bool resumed_set;
	int32_t resumed;
	/* request */
	uint64_t began;          /* monotonic ns */
	uint64_t began_wall;     /* us */
	struct slice head_bytes; /* keeps the head's text; of one that was refused: in a block */
	struct http_head head;
	struct url url;
	struct str host;   /* lower case, without the port */
	struct str source; /* the client's address, trusted proxies taken into account */
	struct str request_id;
	struct api_call call;
	/* request body */
	struct http_body body;
	bool body_wanted; /* reading has begun */
	bool body_bad;
	bool body_ended;
	bool scan_ended;     /* the api has passed the whole body */
	bool body_sent;      /* the whole body is with the exchange */
	bool continued;      /* 100 Continue was sent */
	bool chunked_up;     /* sent upstream in chunks */
	struct chain parked; /* received, not handed to the filters yet */
	uint64_t received;
	uint64_t released; /* of received, handed on */
	size_t charged;    /* of limits.memory */
	struct body_path up;
	/* groups */
	struct verdict verdict;
	struct decision *decisions;
	unsigned ndecisions, decisions_cap;
	const struct stack_line **entered;
	unsigned nentered, entered_cap;
	uint64_t entered_marks;              /* a bit by line, which others may share */
	struct str line_policy;              /* of the hook under way */
	const struct merlon_fail *line_fail; /* likewise */
	const struct stack_line *line;       /* whose hook is under way or suspended */
	struct challenge *challenges;
	struct edit *edits[2]; /* by direction */
	uint64_t edited[2];    /* likewise: ids of fields that they may set or delete */
	bool shadow_hook;      /* edits, replies and policies of the hook under way do not count */
	/* answer */
	struct refusal refusal;
	struct exchange *ex;
	bool upstream_entered;
	bool ex_paused;
	struct http_head *rhead; /* the upstream's */
	bool response_ready;     /* its head is there */
	bool response_ended;     /* its body is whole */
	bool response_broken;
	enum exchange_fault fault;
	bool head_passed; /* the filters have let the upstream's head pass */
	bool head_sent;   /* a status line has gone to the client */
	bool sent_all;    /* every byte of the answer is in the stream */
	bool chunked_down;
	bool sse;
	bool no_body;
	bool keep; /* the connection may serve another request */
	struct body_path down;
	unsigned status; /* as sent; 0: none */
	uint64_t sent;   /* body bytes */
	uint64_t upstream_began, upstream_ended;
	/* digests: of the bodies as sent */
	struct digest *digest[2][TX_DIGESTS];
	struct str digest_text[2][TX_DIGESTS]; /* "sha256:<hex>", p NULL: unknown */
	/* the end */
	uint32_t end; /* MERLON_END_* */
	struct str reason;
	uint64_t ended;
	unsigned settled;           /* of entered, from the end */
	bool close_refused;         /* audit_close of a required line failed */
	struct http_parser *parser; /* while the head comes in */
	/* The last member: large, and all that is read of it is set by run_begin(), so tx_new()
	 * does not clear it. */
	struct run run;
};

/* Begins with the first byte of a request. */
merlon_tx *tx_new(struct worker *w, struct conn *c);
/* Drives the steps until one waits. Events call this after noting what happened. The tx may be gone
 * on return. */
void tx_go(merlon_tx *tx);
/* The client has gone: cancels what only it waits for. The tx may be gone on return. */
void tx_client_gone(merlon_tx *tx);
/* Its head did not come in time: 408. */
void tx_head_timeout(merlon_tx *tx);
/* Whether it is the client that has to move: send its body, or read its answer. */
bool tx_waits_for_client(const merlon_tx *tx);
/* It has not moved for limits.idle_timeout. */
void tx_client_stalled(merlon_tx *tx);
/* Sets the refusal (the first counts unless the head has been sent) and returns STEP_REFUSE, or
 * STEP_ABORT where the head has left already. message and code must be static or in the arena. */
enum step_result tx_refuse(merlon_tx *tx, unsigned status, const char *code, const char *message,
                           uint32_t end);
/* A hook waits for its answer, or has just got it: no other may be called. */
static inline bool tx_suspended(const merlon_tx *tx)
{
	return tx->base.susp.token || tx->resumed_set;
}
/* The step under way is this one. */
bool tx_in(const merlon_tx *tx, enum step_id s);

/* tls.*: what the client's connection is, and its certificate now. (tlsattr.c) */
void tx_tls_attributes(merlon_tx *tx);
/* Takes request-body bytes off the connection: decodes, scans, parks. STEP_NEXT, or a refusal.
 * (body.c) */
enum step_result body_pull(merlon_tx *tx);
void body_want(merlon_tx *tx);
/* Brings the charge on limits.memory up to date; false: it is reached. */
bool body_charge(merlon_tx *tx);
/* Moves what may pass to the upstream, framed. (body.c) */
enum step_result body_forward(merlon_tx *tx);
/* Takes and sends body bytes as long as the upstream follows. (step_upstream.c) */
enum step_result upstream_pump(merlon_tx *tx);
/* tx_refuse() with the exchange's fault as the record's reason. (step_upstream.c) */
enum step_result upstream_refuse(merlon_tx *tx, unsigned status, const char *code,
                                 const char *message);
/* Runs chunks through the filters of one direction. STEP_WAIT: a filter is suspended. (filter.c) */
enum step_result filter_pump(merlon_tx *tx, int dir);
void body_path_deinit(struct body_path *p);
/* Walks a group; the same for auth, authz, ratelimit, filter. (group.c) */
enum step_result group_walk(merlon_tx *tx, enum conf_group g, const struct run_ops *ops,
                            bool reverse);
/* Makes the verdict the tx's refusal. Answers STEP_REFUSE. */
enum step_result group_refuse(merlon_tx *tx, enum conf_group g, struct verdict v);
extern const struct run_ops check_ops;
void group_decided(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code);
/* Answers of the audit group are no decisions about the request: they are counted, not recorded. */
void group_counted(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code);
void group_discard(merlon_tx *tx, const struct stack_line *l);
void tx_entered(merlon_tx *tx, const struct stack_line *l);
/* Before every hook call: whose it is, and that it was entered. */
void hook_begin(merlon_tx *tx, const struct stack_line *l, bool shadow);
bool tx_has_entered(const merlon_tx *tx, const struct stack_line *l);
/* Serialises the request head for the upstream. 0; or it does not fit, or identity_values() says
 * no. (forward.c) */
enum { FORWARD_E_LARGE = 1, FORWARD_E_IDENTITY = 2 };
int forward_head(merlon_tx *tx, struct slice *out);
/* What the upstream's identity_headers say, p NULL: nothing. False: one has no form that could be
 * sent; the record's reason is set. (identity.c) */
bool identity_values(merlon_tx *tx, const struct conf_upstream *u, struct str *values);
/* Whether that field is the gateway's to send, by anybody's spelling. */
bool identity_names(const struct conf_upstream *u, struct str name);
void forward_source(merlon_tx *tx); /* source address from the peer and trusted proxies */
void forward_request_id(merlon_tx *tx);
/* Response relaying. (relay.c) */
extern const struct exchange_ops relay_ops;
enum step_result relay_head(merlon_tx *tx);
enum step_result relay_body(merlon_tx *tx);
/* Reading the upstream rests while the client, or a filter, is behind. */
void relay_pressure(merlon_tx *tx);
/* Feeds the digests of a direction. (record.c) */
void digest_feed(merlon_tx *tx, int dir, struct str data);
void digest_begin(merlon_tx *tx, int dir);
void digest_finish(merlon_tx *tx, int dir, bool whole);
static inline void digest_end(merlon_tx *tx, int dir, bool whole)
{
	if (tx->digest[dir][0])
		digest_finish(tx, dir, whole);
}

#endif
