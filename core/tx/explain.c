/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A connection to ourselves whose tx is dry.
 */
#include "tx/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct explain {
	struct stream *client;
	void (*done)(merlon_tx *tx, void *arg);
	void *arg;
};

/* The answer, such as 100 Continue, is nobody's business. */
static void client_event(void *owner, unsigned what)
{
	struct explain *e = owner;
	if (what & STREAM_IN)
		stream_skip(e->client, stream_in(e->client).n);
}

static void explained(merlon_tx *tx, void *arg)
{
	struct explain *e = arg;
	e->done(tx, e->arg);
	stream_close(e->client);
	free(e);
}

/* The port does not matter, but an address has one. */
static bool peer_parse(const char *peer, struct net_addr *out)
{
	bool v6 = strchr(peer, ':') != NULL;
	char *text = xasprintf(v6 ? "[%s]:1" : "%s:1", peer);
	bool ok =
	    strncmp(peer, "unix", 4) != 0 && *peer != '*' && net_addr_parse(str_of(text), out);
	free(text);
	return ok;
}

int explain_run(struct worker *w, struct str raw, const char *peer,
                void (*done)(merlon_tx *tx, void *arg), void *arg)
{
	struct net_addr addr;
	int fds[2];
	if (!peer_parse(peer, &addr))
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
		return -errno;
	struct explain *e = xcalloc(1, sizeof(*e));
	e->done = done;
	e->arg = arg;
	/* With half_close: the request ends with its bytes. */
	struct conn *c = conn_accept(w, fds[0], (struct sockaddr *)&addr.ss, addr.len, true);
	c->explained = explained;
	c->explained_arg = e;
	e->client = stream_new(w->base.loop, fds[1], &w->blocks, client_event, e);
	stream_send_copy(e->client, raw.p, raw.n);
	stream_flush(e->client);
	stream_shutdown(e->client);
	return 0;
}
