/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * HTTP calls as modules make them: who is told, once, on its worker, and who never is. Two workers
 * on threads of their own, a generation whose instances are made by hand, and a server that answers
 * in any order.
 */
#include "unit.h"

#include "conf/load.h"
#include "tx/httpcall.h"
#include "tx/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 2
#define CALLS 5000 /* a worker */
#define OPEN_MAX_ 24
#define FDS 256

/* ---- a generation without modules ---- */
static struct worker w[WORKERS];
static pthread_t threads[WORKERS];
static struct memory_budget budget;
static atomic_uint connections;
static atomic_uint gone;
static struct generation *gen;
static struct merlon_ctx ctx;
static struct ctx_work ctx_work[WORKERS_MAX];
static struct build build;
static const struct merlon_module module_of_ours = {.name = "m"};
static struct opt_upstream allowed[1];
static int server = -1;

static void released(struct generation *g)
{
	(void)g;
	atomic_fetch_add(&gone, 1);
}

static uint16_t listen_here(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server < 0 || bind(server, (struct sockaddr *)&sa, len) || listen(server, 256) ||
	    getsockname(server, (struct sockaddr *)&sa, &len))
		abort();
	return ntohs(sa.sin_port);
}

static struct generation *gen_make(uint16_t port)
{
	struct conf_diag d;
	char *text = xasprintf(
	    "workers = 2; listeners = ( { name = \"m\"; address = \"127.0.0.1:8080\"; } );\n"
	    "upstreams = ( { name = \"up\"; servers = ( \"127.0.0.1:%u\" ); },\n"
	    "  { name = \"other\"; servers = ( \"127.0.0.1:%u\" ); } );\n",
	    port, port);

	conf_diag_init(&d);
	struct conf *c = conf_load_text(str_of(text), "/etc/t.conf", "/", &d);
	struct stacks *s = c ? stacks_new(c, NULL, false, &d) : NULL;
	if (!s)
		abort();
	conf_diag_deinit(&d);
	free(text);
	return gen_new(1, c, s, WORKERS, released);
}

static void ctx_init(struct merlon_ctx *x, struct ctx_work *work, struct generation *g)
{
	memset(x, 0, sizeof(*x));
	snprintf(build.hash, sizeof(build.hash), "build");
	allowed[0].name = STR("up");
	x->build = &build;
	x->m = &module_of_ours;
	x->owner = g;
	x->upstreams = allowed;
	x->nupstreams = 1;
	x->work = work;
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		list_init(&work[i].ops);
}

static void *worker_main(void *arg)
{
	struct worker *me = arg;

	stats_thread(me->base.index);
	loop_run(me->base.loop);
	return NULL;
}

/* ---- doing something on a worker, and waiting for it ---- */
struct errand {
	void (*fn)(struct worker *w, void *arg);
	struct worker *w;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool over;
};

static void errand_run(void *arg)
{
	struct errand *e = arg;

	e->fn(e->w, e->arg);
	pthread_mutex_lock(&e->lock);
	e->over = true;
	pthread_cond_signal(&e->done);
	pthread_mutex_unlock(&e->lock);
}

static void on(unsigned index, void (*fn)(struct worker *w, void *arg), void *arg)
{
	struct errand e = {.fn = fn,
	                   .w = &w[index],
	                   .arg = arg,
	                   .lock = PTHREAD_MUTEX_INITIALIZER,
	                   .done = PTHREAD_COND_INITIALIZER};

	loop_post(w[index].base.loop, errand_run, &e);
	pthread_mutex_lock(&e.lock);
	while (!e.over)
		pthread_cond_wait(&e.done, &e.lock);
	pthread_mutex_unlock(&e.lock);
}

static void attach(struct worker *me, void *arg)
{
	const char *module;

	if (gen_attach(arg, me, &module))
		abort();
}

static void detach(struct worker *me, void *arg)
{
	gen_detach(arg, me);
}

static void instance_stop(struct worker *me, void *arg)
{
	ledger_instance_cancel(arg, &me->base);
}

static void nothing(struct worker *me, void *arg)
{
	(void)me;
	(void)arg;
}

static void begin(void)
{
	uint16_t port = listen_here();

	budget.limit = 1 << 20;
	atomic_store(&gone, 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		worker_init(&w[i], i, NULL, &budget, &connections);
		if (pthread_create(&threads[i], NULL, worker_main, &w[i]))
			abort();
	}
	gen = gen_make(port);
	ctx_init(&ctx, ctx_work, gen);
	for (unsigned i = 0; i < WORKERS; i++)
		on(i, attach, gen);
}

static void end(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		on(i, instance_stop, &ctx);
	/* Looks that one worker has posted to the other. */
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		on(i % WORKERS, nothing, NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		on(i, detach, gen);
	gen_control_unref(gen);
	CU_ASSERT_EQUAL(atomic_load(&gone), 1);
	gen_free(gen);
	for (unsigned i = 0; i < WORKERS; i++)
		loop_stop(w[i].base.loop);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		worker_deinit(&w[i]);
	close(server);
}

/* ---- the server's side ---- */
static int accepted(void)
{
	struct pollfd p = {.fd = server, .events = POLLIN};
	int fd;

	if (poll(&p, 1, 30000) != 1 || (fd = accept4(server, NULL, NULL, SOCK_CLOEXEC)) < 0)
		abort();
	return fd;
}

static const char *request_read(int fd)
{
	static char text[4096];
	size_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, 30000) != 1)
			abort();
		ssize_t r = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		if (r <= 0)
			return NULL;
		n += (size_t)r;
		text[n] = 0;
		if (strstr(text, "\r\n\r\n"))
			return text;
	}
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		abort();
}

static bool nobody_else(void)
{
	return accept4(server, NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EAGAIN;
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"

/* ---- one caller ---- */
struct asker {
	unsigned worker;
	const char *flight;
	struct merlon_ctx *ctx;
	merlon_op *op;
	int32_t answer; /* of http_call() */
	int32_t error;
	uint32_t status;
	char body[64];
	pthread_t thread;
	atomic_uint told;
	struct asker *cancels; /* when it is told */
};

static void asker_told(void *arg, const struct merlon_http_response *res)
{
	struct asker *a = arg;

	a->error = res->error;
	a->status = res->status;
	a->thread = pthread_self();
	snprintf(a->body, sizeof(a->body), "%.*s", (int)res->body.len, res->body.ptr);
	if (res->error == 0)
		CU_ASSERT(res->nheaders == 2 && res->headers[0].value.ptr[0] == 'b');
	if (a->cancels)
		host_op_cancel(a->cancels->op);
	atomic_fetch_add(&a->told, 1);
}

static void ask(struct worker *me, void *arg)
{
	struct asker *a = arg;
	const struct merlon_http_request r = {
	    .size = sizeof(r),
	    .upstream = {"up", 2},
	    .method = {"GET", 3},
	    .target = {"/k", 2},
	    .flight = {a->flight, a->flight ? strlen(a->flight) : 0},
	};

	a->answer =
	    host_http_call(a->ctx ? a->ctx : &ctx, &me->base, NULL, &r, asker_told, a, &a->op);
}

static void forget(struct worker *me, void *arg)
{
	struct asker *a = arg;

	(void)me;
	host_op_cancel(a->op);
	host_op_cancel(a->op); /* does nothing */
}

static void asked(struct asker *a)
{
	on(a->worker, ask, a);
	CU_ASSERT_EQUAL(a->answer, 0);
}

/* Turns of its worker until it has been told. */
static void wait_for(struct asker *a)
{
	for (unsigned i = 0; i < 1000000 && atomic_load(&a->told) == 0; i++)
		on(a->worker, nothing, NULL);
	CU_ASSERT_EQUAL_FATAL(atomic_load(&a->told), 1);
	CU_ASSERT(pthread_equal(a->thread, threads[a->worker]));
}

/* ---- the tests ---- */
static void one_flight_over_two_workers(void)
{
	struct asker a = {.worker = 0, .flight = "f"};
	struct asker b = {.worker = 1, .flight = "f"};
	struct asker c = {.worker = 1, .flight = "f"};
	struct asker other = {.worker = 1, .flight = "g"};

	begin();
	asked(&a);
	asked(&b);
	asked(&c);
	int fd = accepted();
	CU_ASSERT(request_read(fd) != NULL);
	CU_ASSERT(nobody_else());
	asked(&other);
	int second = accepted();
	CU_ASSERT(request_read(second) != NULL);
	say(fd, OK_ANSWER);
	wait_for(&a);
	wait_for(&b);
	wait_for(&c);
	CU_ASSERT(a.status == 200 && b.status == 200 && c.status == 200);
	CU_ASSERT_STRING_EQUAL(b.body, "ok");
	CU_ASSERT_EQUAL(atomic_load(&other.told), 0);
	/* What has ended is joined no more: the next one asks anew, on the connection that is
	 * there. */
	struct asker d = {.worker = 0, .flight = "f"};
	asked(&d);
	CU_ASSERT(request_read(fd) != NULL);
	say(fd, OK_ANSWER);
	wait_for(&d);
	close(fd);
	close(second);
	wait_for(&other);
	CU_ASSERT_EQUAL(other.error, MERLON_E_UNAVAIL);
	end();
}

static void who_began_it_may_go(void)
{
	struct asker a = {.worker = 0, .flight = "f"};
	struct asker b = {.worker = 1, .flight = "f"};

	begin();
	asked(&a);
	int fd = accepted();
	CU_ASSERT(request_read(fd) != NULL);
	asked(&b);
	on(0, forget, &a);
	say(fd, OK_ANSWER);
	wait_for(&b);
	CU_ASSERT_EQUAL(b.status, 200);
	CU_ASSERT_EQUAL(atomic_load(&a.told), 0);
	close(fd);
	end();
}

static void without_waiters_it_ends(void)
{
	struct asker a = {.worker = 0, .flight = "f"};
	struct asker b = {.worker = 1, .flight = "f"};

	for (int last = 0; last < 2; last++) {
		begin();
		asked(&a);
		int fd = accepted();
		CU_ASSERT(request_read(fd) != NULL);
		asked(&b);
		on(last ? 0 : 1, forget, last ? &a : &b);
		on(last ? 1 : 0, forget, last ? &b : &a);
		CU_ASSERT_PTR_NULL(request_read(fd)); /* the connection closes */
		CU_ASSERT_EQUAL(atomic_load(&a.told) + atomic_load(&b.told), 0);
		close(fd);
		end();
	}
}

/* The generation that began the flight goes; a later one waits on. */
static void a_flight_outlives_its_generation(void)
{
	struct merlon_ctx later;
	static struct ctx_work later_work[WORKERS_MAX];
	struct asker a = {.worker = 0, .flight = "f"};
	struct asker b = {.worker = 1, .flight = "f", .ctx = &later};

	begin();
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	getsockname(server, (struct sockaddr *)&sa, &len);
	struct generation *old = gen;
	struct generation *new = gen_make(ntohs(sa.sin_port));
	for (unsigned i = 0; i < WORKERS; i++)
		on(i, attach, new);
	asked(&a);
	int fd = accepted();
	CU_ASSERT(request_read(fd) != NULL);
	ctx_init(&later, later_work, new);
	asked(&b);
	for (unsigned i = 0; i < WORKERS; i++) {
		on(i, instance_stop, &ctx);
		on(i, detach, old);
	}
	gen_control_unref(old);
	CU_ASSERT_EQUAL(atomic_load(&gone), 0);
	say(fd, OK_ANSWER);
	wait_for(&b);
	CU_ASSERT_EQUAL(b.status, 200);
	CU_ASSERT_EQUAL(atomic_load(&a.told), 0);
	on(0, nothing, NULL);
	CU_ASSERT_EQUAL(atomic_load(&gone), 1);
	gen_free(old);
	atomic_store(&gone, 0);
	gen = new;
	close(fd);
	end();
}

static void one_that_is_told_cancels_another(void)
{
	struct asker b = {.worker = 0, .flight = "f"};
	struct asker a = {.worker = 0, .flight = "f", .cancels = &b};

	begin();
	asked(&a);
	asked(&b);
	int fd = accepted();
	CU_ASSERT(request_read(fd) != NULL);
	say(fd, OK_ANSWER);
	wait_for(&a);
	on(0, nothing, NULL);
	CU_ASSERT_EQUAL(atomic_load(&b.told), 0);
	close(fd);
	end();
}

static void refused(struct worker *me, void *arg)
{
	struct asker *a = arg;
	struct merlon_http_request r = {
	    .size = sizeof(r), .upstream = {"up", 2}, .method = {"GET", 3}, .target = {"/", 1}};
	struct merlon_header many[65];
	const struct merlon_header host = {{"host", 4}, {"x y", 3}};

	for (unsigned i = 0; i < 65; i++)
		many[i] = (struct merlon_header){{"a", 1}, {"b", 1}};
#define CALL() host_http_call(&ctx, &me->base, NULL, &r, asker_told, a, NULL)
	r.upstream = (struct merlon_str){"other", 5}; /* it is there, and no option named it */
	CU_ASSERT_EQUAL(CALL(), MERLON_E_NOENT);
	r.upstream = (struct merlon_str){"nobody", 6};
	CU_ASSERT_EQUAL(CALL(), MERLON_E_NOENT);
	r.upstream = (struct merlon_str){"", 0};
	CU_ASSERT_EQUAL(CALL(), MERLON_E_NOENT);
	r.upstream = (struct merlon_str){"up", 2};
	r.headers = &host;
	r.nheaders = 1;
	CU_ASSERT_EQUAL(CALL(), MERLON_E_INVAL);
	r.headers = many;
	r.nheaders = 65;
	CU_ASSERT_EQUAL(CALL(), MERLON_E_INVAL);
	r.nheaders = 0;
	r.max_body = 16 * 1024 * 1024 + 1;
	CU_ASSERT_EQUAL(CALL(), MERLON_E_INVAL);
	r.max_body = 0;
	r.timeout_ms = UINT32_MAX;
	CU_ASSERT_EQUAL(CALL(), MERLON_E_INVAL);
	r.timeout_ms = 0;
	CU_ASSERT_EQUAL(host_http_call(&ctx, NULL, NULL, &r, asker_told, a, NULL), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_http_call(&ctx, &me->base, NULL, &r, NULL, a, NULL), MERLON_E_INVAL);
	ctx.probing = true;
	CU_ASSERT_EQUAL(CALL(), MERLON_E_UNAVAIL);
	ctx.probing = false;
	ctx.owner = NULL;
	CU_ASSERT_EQUAL(CALL(), MERLON_E_UNAVAIL);
	ctx.owner = gen;
	unsigned n = 0;
	while (CALL() == 0)
		n++;
	CU_ASSERT_EQUAL(n, OPS_INSTANCE_MAX);
	CU_ASSERT_EQUAL(CALL(), MERLON_E_FULL);
	ledger_instance_cancel(&ctx, &me->base);
#undef CALL
}

static void what_is_refused(void)
{
	struct asker a = {0};

	begin();
	on(0, refused, &a);
	CU_ASSERT_EQUAL(atomic_load(&a.told), 0);
	end();
}

/* ---- many, at random ---- */
struct storm;
struct storm_call {
	struct storm *s;
	merlon_op *op; /* NULL: free */
	unsigned id;
	bool brief; /* its deadline may pass */
};
struct storm {
	struct worker *w;
	struct storm_call calls[OPEN_MAX_];
	unsigned open, begun, answered, cancelled, timed_out, wrong;
	uint64_t rng;
	bool posted;
	atomic_bool over;
};
static struct storm storms[WORKERS];

static void storm_step(void *arg);

static void storm_post(struct storm *s)
{
	if (s->posted)
		return;
	s->posted = true;
	loop_post(s->w->base.loop, storm_step, s);
}

static void storm_told(void *arg, const struct merlon_http_response *res)
{
	struct storm_call *c = arg;
	struct storm *s = c->s;
	char want[32];
	int n = snprintf(want, sizeof(want), "/%u", c->id);

	s->wrong += c->op == NULL;
	if (res->error == MERLON_E_TIMEOUT && c->brief)
		s->timed_out++;
	else if (res->error != 0 || res->body.len != (uint64_t)n ||
	         memcmp(res->body.ptr, want, (size_t)n) != 0)
		s->wrong++;
	else
		s->answered++;
	c->op = NULL;
	s->open--;
	storm_post(s);
}

/* Every fourth call shares its flight with others, of the other worker too. */
static void storm_begin(struct storm *s)
{
	static atomic_uint ids;
	struct storm_call *c = s->calls;
	char target[32];

	while (c->op)
		c++;
	bool shared = unit_random(&s->rng) % 4 == 0;
	c->s = s;
	c->id = shared ? (unsigned)(unit_random(&s->rng) % 4) : 1000 + atomic_fetch_add(&ids, 1);
	c->brief = !shared && unit_random(&s->rng) % 16 == 0;
	int n = snprintf(target, sizeof(target), "/%u", c->id);
	const struct merlon_http_request r = {
	    .size = sizeof(r),
	    .timeout_ms = c->brief ? 1 : 60000,
	    .upstream = {"up", 2},
	    .method = {"GET", 3},
	    .target = {target, (uint64_t)n},
	    .flight = {target, shared ? (uint64_t)n : 0},
	};
	if (host_http_call(&ctx, &s->w->base, NULL, &r, storm_told, c, &c->op)) {
		s->wrong++;
		c->op = NULL;
		return;
	}
	s->begun++;
	s->open++;
}

static void storm_cancel(struct storm *s)
{
	struct storm_call *c = &s->calls[unit_random(&s->rng) % OPEN_MAX_];

	/* However slow the server is, a third of all has to wait for its answers. */
	if (!c->op || s->cancelled > 2 * s->answered + OPEN_MAX_)
		return;
	host_op_cancel(c->op);
	c->op = NULL;
	s->cancelled++;
	s->open--;
}

static void storm_step(void *arg)
{
	struct storm *s = arg;

	s->posted = false;
	for (unsigned i = 0; i < 8; i++) {
		if (unit_random(&s->rng) % 3 == 0)
			storm_cancel(s);
		else if (s->open < OPEN_MAX_ && s->begun < CALLS)
			storm_begin(s);
	}
	if (s->begun < CALLS)
		storm_post(s);
	else if (s->open == 0)
		atomic_store(&s->over, true);
}

/* Answers with the target, connections in any order. */
static struct peer {
	int fd;
	size_t n;
	char text[1024];
} peers[FDS];
static unsigned npeers;

static bool peer_read(struct peer *p)
{
	ssize_t r = recv(p->fd, p->text + p->n, sizeof(p->text) - 1 - p->n, MSG_DONTWAIT);

	if (r == 0 || (r < 0 && errno != EAGAIN))
		return false;
	p->n += r > 0 ? (size_t)r : 0;
	p->text[p->n] = 0;
	return true;
}

static bool peer_answer(struct peer *p)
{
	char answer[256];
	char *end = strstr(p->text, "\r\n\r\n");

	if (!end)
		return true;
	char *target = p->text + 4;
	int n = (int)strcspn(target, " ");
	snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%.*s", n, n,
	         target);
	p->n = 0;
	p->text[0] = 0;
	return send(p->fd, answer, strlen(answer), MSG_NOSIGNAL) == (ssize_t)strlen(answer);
}

static void peer_drop(unsigned i)
{
	close(peers[i].fd);
	peers[i] = peers[--npeers];
}

static void serve(uint64_t *rng)
{
	struct pollfd fds[FDS + 1];
	unsigned n = npeers;

	for (unsigned i = 0; i < n; i++)
		fds[i] = (struct pollfd){.fd = peers[i].fd, .events = POLLIN};
	fds[n] = (struct pollfd){.fd = npeers < FDS ? server : -1, .events = POLLIN};
	poll(fds, n + 1, 1);
	int fd = npeers < FDS ? accept4(server, NULL, NULL, SOCK_CLOEXEC) : -1;
	if (fd >= 0) {
		peers[npeers] = (struct peer){.fd = fd};
		npeers++;
	}
	for (unsigned i = n; i-- > 0;) {
		bool ok = !fds[i].revents || peer_read(&peers[i]);
		if (ok && unit_random(rng) % 2)
			ok = peer_answer(&peers[i]);
		if (!ok)
			peer_drop(i);
	}
}

static void ten_thousand(void)
{
	uint64_t rng = 88172645463325252u;
	unsigned answered = 0, cancelled = 0;

	begin();
	for (unsigned i = 0; i < WORKERS; i++) {
		memset(&storms[i], 0, sizeof(storms[i]));
		storms[i].w = &w[i];
		storms[i].rng = rng + i;
		storm_post(&storms[i]);
	}
	while (!atomic_load(&storms[0].over) || !atomic_load(&storms[1].over))
		serve(&rng);
	for (unsigned i = 0; i < WORKERS; i++) {
		on(i, nothing, NULL);
		CU_ASSERT_EQUAL(storms[i].wrong, 0);
		CU_ASSERT_EQUAL(storms[i].answered + storms[i].cancelled + storms[i].timed_out,
		                storms[i].begun);
		answered += storms[i].answered;
		cancelled += storms[i].cancelled;
	}
	CU_ASSERT(answered > 1000);
	CU_ASSERT(cancelled > 1000);
	end();
	while (npeers > 0)
		peer_drop(0);
}

UNIT_MAIN("tx_httpcall", UNIT(one_flight_over_two_workers), UNIT(who_began_it_may_go),
          UNIT(without_waiters_it_ends), UNIT(a_flight_outlives_its_generation),
          UNIT(one_that_is_told_cancels_another), UNIT(what_is_refused), UNIT(ten_thousand))
