/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One duplex byte stream over a connected socket, plain or TLS (net/tls.h). Reads go into
 * refcounted blocks; writes are queued slices. Lives and dies on one loop.
 *
 * Reading. The stream reads when the socket is readable, at most 64 KiB a turn, and tells its owner
 * with STREAM_IN. What was not consumed stays; stream_in() shows it as one contiguous piece.
 * Writing. stream_send() queues; stream_flush() writes at once what the socket takes, and the rest
 * follows by itself; STREAM_OUT tells when the queue has fallen below the low mark or is empty.
 * While more is to follow in the same turn (loop_more()) the kernel may keep back the end of what
 * it took; it leaves with what follows, or in the stream's next turn.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "net/loop.h"

#define STREAM_IN 1u /* bytes have arrived: look at stream_in() */
#define STREAM_OUT                                                                                 \
	2u /* a queue that stream_flush() could not empty has become empty, or fell to STREAM_LOW  \
	      after having been above; what a flush wrote whole is not told of */
#define STREAM_EOF 4u        /* the peer will send nothing more; all its bytes have been told of */
#define STREAM_ERROR 8u      /* reset, or another failure: stream_error() */
#define STREAM_CONNECTED 16u /* stream_connect() has succeeded */
#define STREAM_HANGUP                                                                              \
	32u /* the peer has closed its side: told once, as soon as it is seen, also while paused   \
	       or with unread bytes before it; STREAM_EOF follows when all bytes have been read */

#define STREAM_HIGH (256 * 1024)
#define STREAM_LOW (64 * 1024)

struct stream;
/* Called from the loop, never from within a stream function, with one or more STREAM_* bits. The
 * stream may be closed inside it. */
typedef void stream_fn(void *owner, unsigned what);

/* Takes fd (non-blocking, connected). pool: where its blocks come from. */
struct stream *stream_new(struct loop *l, int fd, struct block_pool *pool, stream_fn *fn,
                          void *owner);
/* From now on what arrives is new work, which stands back where others have begun enough in this
 * turn (loop_begin()). */
void stream_set_patient(struct stream *s);
/* Begins to connect; STREAM_CONNECTED or STREAM_ERROR follows. NULL: the descriptor could not be
 * made, *err has the errno. The caller keeps the deadline. */
struct stream *stream_connect(struct loop *l, const struct sockaddr *addr, socklen_t len,
                              struct block_pool *pool, stream_fn *fn, void *owner, int *err);
/* Closes at once: unsent bytes are dropped, nothing is told any more. The memory goes on the loop's
 * next turn. NULL is fine; returns NULL. */
struct stream *stream_close(struct stream *s);

/* Unread bytes, contiguous; they stand still until the owner returns to the loop or calls
 * stream_in_reserve(). Where they reach BLOCK_SIZE, or what was reserved, the socket is read no
 * further until some are consumed; one read of a large body may bring 64 KiB. */
struct str stream_in(const struct stream *s);
struct slice stream_take(struct stream *s,
                         size_t n); /* the first n unread bytes, consumed, as a view */
void stream_skip_some(struct stream *s, size_t n);
static inline void stream_skip(struct stream *s, size_t n) /* consumes them */
{
	if (n > 0)
		stream_skip_some(s, n);
}
/* Makes room so that `total` unread bytes can stand contiguously (copies once where a block is
 * full). Holds until all that is unread has been consumed. */
void stream_in_reserve(struct stream *s, size_t total);
/* While paused the socket is not read; resuming makes what has waited readable again (told from the
 * loop). */
void stream_pause(struct stream *s, bool paused);
/* Calls the owner with STREAM_IN in this turn if unread bytes are there (pipelining; after a change
 * of owner); a paused stream tells when it is resumed. */
void stream_poke(struct stream *s);

void stream_send(struct stream *s, struct slice data);            /* takes the reference; queues,
                                                                     as chain_pack() does */
void stream_send_copy(struct stream *s, const void *p, size_t n); /* queues a copy */
/* Writes what the socket takes. 0, or -errno: broken; STREAM_ERROR follows from the loop as well.
 */
int stream_flush(struct stream *s);
/* Writes at once what the socket takes of c, where nothing is queued before it. If it took any byte
 * the rest is queued, and c is empty; else c is as it was and nothing is queued. 0 or -errno, as
 * stream_flush(). */
int stream_offer(struct stream *s, struct chain *c);
size_t stream_queued(const struct stream *s);    /* bytes not yet written */
uint64_t stream_written(const struct stream *s); /* bytes that write() took, ever */
uint64_t stream_read_total(const struct stream *s);
/* Whether bytes have arrived that the owner has not consumed; it may not have been told of them. */
bool stream_waiting(const struct stream *s);
/* For a connection that may be silent for long: asks now and then whether the peer is still there,
 * and gives up (STREAM_ERROR) where it takes or answers nothing for two minutes. TCP only. */
void stream_keep(struct stream *s);
int stream_shutdown(struct stream *s);    /* no more writing, after the queue is empty */
int stream_error(const struct stream *s); /* errno of STREAM_ERROR */
bool stream_eof(
    const struct stream *s); /* the peer has closed its sending side (seen, even while paused) */

#endif
