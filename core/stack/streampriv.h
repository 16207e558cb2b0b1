/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The inside of streams, shared by streams.c (which streams there are), streamlink.c (one worker's
 * connection of one stream) and streamqueue.c (what waits to be written or answered on it).
 */
#ifndef STACK_STREAMPRIV_H
#define STACK_STREAMPRIV_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/stats.h"
#include "net/dgram.h"
#include "net/stream.h"
#include "net/tls.h"
#include "stack/instance.h"
#include "stack/streams.h"

#define STREAM_CALLS_MAX 65536       /* on a link, abandoned ones included */
#define STREAM_LINGER (1 * NS_PER_S) /* what a link without holders may still take */
#define STREAM_STEADY (1 * NS_PER_S) /* up for so long: a connection that worked */
#define STREAM_BACKOFF_MIN (50 * NS_PER_MS)
#define STREAM_BACKOFF_MAX (5 * NS_PER_S)

enum endpoint_kind { ENDPOINT_TCP, ENDPOINT_TLS, ENDPOINT_UDP, ENDPOINT_UNIX };

/* Read-only once it is found; refs under the registry's lock, by instances and links. */
struct merlon_stream {
	struct list node;
	unsigned refs;
	uint8_t key[SHA256_LEN]; /* of all settings */
	struct merlon_stream_ops ops;
	enum endpoint_kind kind;
	struct net_addr addr; /* of a unix socket; the others are asked for */
	char *host;
	uint16_t port;
	struct tls_ctx *tls; /* NULL: plain */
	char *texts[7];      /* what ops points to */
	struct stat *up, *connects, *lost;
	struct stream_link *links[WORKERS_MAX]; /* each its worker's */
};
void stream_ref(struct merlon_stream *st);
void stream_unref(struct merlon_stream *st);

/* A message on its way out. */
struct stream_msg {
	struct list node;         /* in link.queue */
	struct stream_call *call; /* NULL: it has no answer, or nobody waits for it any more */
	bool fed;                 /* given to the connection, wholly */
	uint64_t end;             /* then: where it ends among the connection's bytes */
	uint32_t counted;         /* bytes of data that frame it on a stream of bytes */
	size_t n;
	char data[];
};

/* A call that waits for its answer, or that nobody waits for and whose answer must be dropped. */
struct stream_call {
	struct list node;       /* in link.calls */
	struct stream_msg *msg; /* not yet wholly written; NULL: it is */
	struct op *op;          /* NULL: abandoned */
	struct stream_link *link;
	merlon_stream_fn done;
	void *arg;
	struct loop_timer timer;
	uint64_t fed_at; /* 0: its connection has not been given any of it */
	bool lasting;    /* of no tx: sent even if its instance goes before */
};

enum link_state {
	LINK_WAITING, /* for the next attempt */
	LINK_RESOLVING,
	LINK_CONNECTING, /* TLS included */
	LINK_GREETING,   /* the greeting's answers are awaited */
	LINK_UP,
};

struct stream_link {
	struct list node;         /* in the worker's */
	struct merlon_stream *st; /* a ref */
	struct merlon_worker *w;
	unsigned holders;
	enum link_state state;
	bool down; /* an attempt has failed since the link was begun or up: calls are refused */
	bool logged_down;
	bool datagram; /* of a unix socket: found out by connecting */
	bool closed;
	/* streamlink.c's */
	struct resolve_op *resolving;
	struct net_addr addrs[RESOLVE_ADDRS_MAX];
	unsigned naddrs, at;
	unsigned first; /* where among them to begin: a datagram's way shows its faults later */
	struct stream *s;
	struct dgram *d;
	struct tls_session *session;
	struct net_addr session_addr;
	void *dec;
	uint32_t greeted;
	struct loop_timer timer; /* the next attempt, or the end of this one */
	struct loop_timer stall;
	struct loop_timer linger;
	struct loop_task task; /* writes what has been queued in this turn; in the end frees */
	uint64_t deadline;     /* of the attempt under way */
	uint64_t backoff;
	uint64_t up_since;
	uint64_t instant; /* when it was last tried again without waiting */
	uint64_t given;   /* bytes that the connection has been given */
	/* streamqueue.c's */
	struct list queue;
	struct stream_msg *unfed; /* the first that is not fed; NULL: all are */
	size_t queued;            /* bytes in it */
	struct list calls;
	unsigned ncalls;
	uint64_t lost; /* messages since the last notice */
};

/* streamlink.c */
struct stream_link *link_get(struct merlon_stream *st, struct merlon_worker *w);
void link_hold(struct stream_link *ln);
void link_drop(struct stream_link *ln);
void link_end(struct stream_link *ln); /* closes now */
/* There is something to write; in this turn. */
void link_wake(struct stream_link *ln);
/* The connection is over, or the attempt. why: for the log. */
void link_lost(struct stream_link *ln, const char *why);

/* streamqueue.c */
void queue_init(struct stream_link *ln);
void queue_deinit(struct stream_link *ln);
/* Whether a message of n bytes would be taken now. */
bool queue_ready(const struct stream_link *ln, size_t n);
/* 0 or MERLON_E_FULL. */
int32_t queue_send(struct stream_link *ln, struct str bytes);
int32_t queue_call(struct stream_link *ln, merlon_ctx *ctx, merlon_tx *tx, struct str bytes,
                   uint32_t timeout_ms, merlon_stream_fn done, void *arg, merlon_op **handle);
/* Gives the connection what it takes. The link may be lost within. */
void queue_write(struct stream_link *ln);
/* Drops what has been written. */
void queue_written(struct stream_link *ln);
/* The connection's next answer: false: nobody has asked for one. Frees msg. */
bool queue_answer(struct stream_link *ln, void *msg);
/* The connection is gone: calls that it had been given fail, or `all` of them, and what was half
 * written will be written again. */
void queue_broken(struct stream_link *ln, bool all);
/* Nobody is told of any answer any more. */
void queue_forget(struct stream_link *ln);
/* Until when the oldest call may wait; 0: none waits. */
uint64_t queue_stall(const struct stream_link *ln);

#endif
