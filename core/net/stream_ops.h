/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The inside of a stream, for stream.c, stream_out.c and the kinds of sockets below them; nobody
 * else includes this.
 */
#ifndef NET_STREAM_OPS_H
#define NET_STREAM_OPS_H

#include "net/stream.h"

#include <sys/types.h>

/* Answer bytes or -errno; read answers 0 at the end. Shutdown may answer -EAGAIN: once more when
 * the socket is writable. */
struct stream_ops {
	ssize_t (*read)(struct stream *s, void *p, size_t n);
	ssize_t (*write)(struct stream *s, const struct iovec *iov, int n);
	int (*shutdown)(struct stream *s);
	/* Of layers over the socket; NULL: there is none. A short read or write then says nothing
	 * about the socket. */
	/* 0: it is over; -EAGAIN: goes on with the next event; another -errno */
	int (*handshake)(struct stream *s);
	/* Readiness may mean the other direction, too: the bits that it stands for. */
	unsigned (*ready)(struct stream *s, unsigned ready);
	void (*free)(struct stream *s);
};
struct tls;

struct stream {
	const struct stream_ops *ops;
	struct loop *loop;
	struct loop_io *io;
	struct block_pool *pool;
	stream_fn *fn;
	void *owner;
	struct loop_task task;
	struct loop_timer check;
	struct block *in;
	uint32_t pos;   /* unread bytes are in->data[pos .. in->used) */
	size_t reserve; /* what the owner wants contiguous, 0: BLOCK_SIZE */
	struct chain out;
	struct tls *tls; /* NULL: plain */
	uint64_t written;
	uint64_t read_total;
	unsigned pending; /* STREAM_* to be told */
	int fd;
	int err;
	bool readable; /* the kernel may have more */
	bool writable; /* the last write took everything */
	bool hangup;   /* the peer's close was seen: read to the end, no edge will come */
	bool eof;      /* read to the end */
	bool broken;   /* writing is over, err is set */
	bool paused;
	bool connecting; /* no bytes yet: the socket connects, or the layer over it shakes hands */
	bool dialing;    /* the former */
	bool attend;     /* events need a look before they count */
	bool to_end;     /* a short read does not mean that the socket is empty */
	bool busy;       /* within stream_turn() */
	bool closed;
	bool blocked;  /* a flush left bytes behind: STREAM_OUT is due when they are gone */
	bool was_high; /* over STREAM_LOW since: STREAM_OUT is due at STREAM_LOW */
	bool shut;     /* no more writing once the queue is empty */
	bool shut_done;
	bool unsure;  /* see stream_check() */
	bool bulk;    /* the last read filled its room: a large body is under way */
	bool more;    /* of the write under way: another follows in this turn */
	bool patient; /* see stream_set_patient() */
	bool corked;  /* the last write had `more`: the kernel may keep its end back */
};

extern const struct stream_ops stream_plain;
extern const struct stream_ops stream_over_tls;

/* stream.c: what was seen on the way; it is told in the next turn. */
void stream_see_hangup(struct stream *s);
void stream_see_error(struct stream *s, int err);
/* A turn is due; within one, it is seen there. */
void stream_schedule(struct stream *s);
/* stream_out.c: the socket can be written again. */
void stream_out_resume(struct stream *s);
/* The writes that were to follow did not: sends what the kernel has kept back. */
void stream_out_push(struct stream *s);

/* As stream_connect(); ops may have a handshake, whose state `tls` is now the stream's. */
struct stream *stream_dial(struct loop *l, const struct sockaddr *addr, socklen_t len,
                           struct block_pool *pool, const struct stream_ops *ops, struct tls *tls,
                           stream_fn *fn, void *owner, int *err);

#endif
