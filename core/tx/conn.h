/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A client connection: one live tx at most, keep-alive, deadlines, and the lingering end after an
 * early answer. Owns its stream and its tx; is owned by its worker. States in order: idle or
 * serving, then lingering, then gone.
 */
#ifndef TX_CONN_H
#define TX_CONN_H

#include "net/stream.h"
#include "tx/worker.h"

#include <netinet/in.h>

#define LINGER_BYTES (1024 * 1024)
#define LINGER_NS (2 * NS_PER_S)
#define DRAIN_REST (64 * 1024) /* a known rest of a refused body that is read and dropped */

struct merlon_tx;
struct conn {
	struct list node;
	struct worker *w;
	struct stream *s;
	struct merlon_tx *tx;
	struct loop_timer timer;
	struct loop_task next; /* begins the next request from a fresh stack */
	uint64_t progress;     /* stream_written() or bytes read when the timer was set */
	uint64_t dropping;     /* bytes of a refused request's body still to be read and dropped */
	uint32_t lingered;
	bool lingering;
	bool half_close;
	bool tls;
	bool shaking;      /* the TLS handshake is under way */
	unsigned listener; /* the socket's id; of TLS only */
	struct stat *shaken;
	struct stat *failed;
	bool waited;  /* for the client, when the timer was set */
	bool counted; /* in the worker's peers */
	bool gone;    /* the client has hung up */
	bool eof;     /* and all that it sent has been read */
	void (*explained)(struct merlon_tx *tx, void *arg); /* explain: its tx is dry */
	void *explained_arg;
	char peer[46];
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr; /* the client's; of a unix socket only the family counts */
};
/* Takes fd. */
struct conn *conn_accept(struct worker *w, int fd, const struct sockaddr *peer, socklen_t len,
                         bool half_close);
/* The same over TLS, by the context of `l`. */
struct conn *conn_accept_tls(struct worker *w, int fd, const struct sockaddr *peer, socklen_t len,
                             bool half_close, const struct gen_listener *l);
/* The tx has ended and is gone. keep: another request may follow. rest: bytes of its body to drop
 * first. */
void conn_next(struct conn *c, bool keep, uint64_t rest);
/* Ends the connection; a live tx is told first. Returns NULL. */
struct conn *conn_close(struct conn *c);
/* The same of one that is between requests: a TLS client is told that nothing was cut off. */
void conn_leave(struct conn *c);
/* Whether nobody is there to answer any more: the client has closed its side, and its listener
 * takes that for an end. */
static inline bool conn_gone(const struct conn *c)
{
	return c->gone && !c->half_close;
}
/* Restarts the deadline of the phase the connection is in. */
void conn_deadline(struct conn *c, uint64_t ns);

#endif
