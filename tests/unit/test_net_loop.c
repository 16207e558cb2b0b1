/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The loop: order and laziness of timers, tasks, messages from other threads, descriptors that are
 * freed while they are ready, signals.
 */
#include "net_pump.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static char seen[64];

static void note(void *arg)
{
	size_t n = strlen(seen);

	if (n + 1 < sizeof(seen)) {
		seen[n] = *(const char *)arg;
		seen[n + 1] = '\0';
	}
}

static char names[] = "abcdefgh";

static void begin(void)
{
	loop = loop_new();
	seen[0] = '\0';
}

static void end(void)
{
	clock_unfreeze();
	loop_free(loop);
	loop = NULL;
}

#define HOUR (3600 * NS_PER_S)

static void timers_fire_in_order_of_deadline(void)
{
	static const unsigned hours[] = {5, 1, 4, 2, 8, 3, 7, 6};
	struct loop_timer t[8];

	begin();
	clock_freeze(HOUR, 1);
	for (unsigned i = 0; i < 8; i++) {
		loop_timer_init(&t[i], note, &names[hours[i] - 1]);
		loop_timer_set(loop, &t[i], HOUR + hours[i] * HOUR);
	}
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "");
	clock_freeze(4 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "abc");
	clock_freeze(20 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "abcdefgh");
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "abcdefgh");
	end();
}

static void a_timer_moved_later_is_only_stored_and_fires_late(void)
{
	struct loop_timer t;

	begin();
	clock_freeze(HOUR, 1);
	loop_timer_init(&t, note, names);
	loop_timer_set(loop, &t, 2 * HOUR);
	loop_timer_set(loop, &t, 4 * HOUR);
	CU_ASSERT_EQUAL(t.queued, 2 * HOUR);
	clock_freeze(3 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "");
	CU_ASSERT_EQUAL(t.queued, 4 * HOUR);
	clock_freeze(4 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "a");
	CU_ASSERT_EQUAL(t.deadline, 0);
	end();
}

static void a_timer_moved_earlier_overtakes_the_others(void)
{
	struct loop_timer t[3];

	begin();
	clock_freeze(HOUR, 1);
	for (unsigned i = 0; i < 3; i++) {
		loop_timer_init(&t[i], note, &names[i]);
		loop_timer_set(loop, &t[i], (5 + i) * HOUR);
	}
	loop_timer_set(loop, &t[2], 2 * HOUR);
	clock_freeze(3 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "c");
	clock_freeze(9 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "cab");
	end();
}

static void cleared_and_dropped_timers_are_silent(void)
{
	struct loop_timer t[4];

	begin();
	clock_freeze(HOUR, 1);
	for (unsigned i = 0; i < 4; i++) {
		loop_timer_init(&t[i], note, &names[i]);
		loop_timer_set(loop, &t[i], (2 + i) * HOUR);
	}
	loop_timer_clear(&t[0]);
	CU_ASSERT_NOT_EQUAL(t[0].slot, 0);
	loop_timer_drop(loop, &t[1]);
	CU_ASSERT_EQUAL(t[1].slot, 0);
	loop_timer_drop(loop, &t[1]);
	clock_freeze(9 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "cd");
	CU_ASSERT_EQUAL(t[0].slot, 0);
	/* Cleared, then set again: as new. */
	loop_timer_set(loop, &t[0], 10 * HOUR);
	loop_timer_clear(&t[0]);
	loop_timer_set(loop, &t[0], 11 * HOUR);
	clock_freeze(10 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "cd");
	clock_freeze(11 * HOUR, 1);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "cda");
	end();
}

/* A heap of many, with members taken out of its middle, against a plain sort. */
static uint64_t last_fired;
static unsigned fired;

struct numbered {
	struct loop_timer t;
	uint64_t at;
};

static void check_rising(void *arg)
{
	struct numbered *n = arg;

	CU_ASSERT(n->at >= last_fired);
	last_fired = n->at;
	fired++;
}

static void many_timers_stay_sorted(void)
{
	static struct numbered n[1000];
	uint32_t x = 12345;

	begin();
	clock_freeze(1, 1);
	for (unsigned i = 0; i < 1000; i++) {
		x = x * 1103515245 + 12345;
		n[i].at = 1000 + (x >> 16) % 5000;
		loop_timer_init(&n[i].t, check_rising, &n[i]);
		loop_timer_set(loop, &n[i].t, n[i].at);
	}
	for (unsigned i = 0; i < 1000; i += 3)
		loop_timer_drop(loop, &n[i].t);
	for (unsigned i = 1; i < 1000; i += 3) {
		n[i].at /= 2;
		loop_timer_set(loop, &n[i].t, n[i].at);
	}
	last_fired = 0;
	fired = 0;
	clock_freeze(10000, 1);
	turn();
	CU_ASSERT_EQUAL(fired, 666);
	end();
}

/* The heap's last member takes the place of the dropped one, in another branch: it must rise there.
 */
static void a_dropped_timer_leaves_the_rest_sorted(void)
{
	static const uint64_t at[15] = {1, 10, 2, 11, 12, 3, 4, 20, 21, 22, 23, 5, 6, 7, 8};
	struct numbered n[15];

	begin();
	clock_freeze(1, 1);
	for (unsigned i = 0; i < 15; i++) {
		n[i].at = 1000 * at[i];
		loop_timer_init(&n[i].t, check_rising, &n[i]);
		loop_timer_set(loop, &n[i].t, n[i].at);
	}
	loop_timer_drop(loop, &n[3].t);
	last_fired = 0;
	fired = 0;
	clock_freeze(100000, 1);
	turn();
	CU_ASSERT_EQUAL(fired, 14);
	end();
}

static struct loop_timer again;
static unsigned agains;

static void set_to_the_past(void *arg)
{
	(void)arg;
	agains++;
	loop_timer_set(loop, &again, 1);
}

static void a_timer_always_due_does_not_keep_others_out(void)
{
	begin();
	agains = 0;
	loop_timer_init(&again, set_to_the_past, NULL);
	loop_timer_set(loop, &again, 1);
	turn(); /* ends only if messages get their turn */
	CU_ASSERT(agains > 1);
	loop_timer_drop(loop, &again);
	end();
}

static bool rang;

static void ring(void *arg)
{
	(void)arg;
	rang = true;
	loop_stop(loop);
}

static void the_wait_ends_for_a_timer_moved_earlier(void)
{
	struct loop_timer far;
	struct loop_timer t;

	begin();
	rang = false;
	loop_timer_init(&far, note, names);
	loop_timer_in(loop, &far, UINT64_MAX);
	loop_timer_init(&t, ring, NULL);
	loop_timer_in(loop, &t, HOUR);
	turn(); /* the wait is armed for the hour */
	CU_ASSERT_FALSE(rang);
	loop_timer_in(loop, &t, NS_PER_MS);
	until(&rang);
	CU_ASSERT_TRUE(rang);
	loop_timer_drop(loop, &far);
	end();
}

/* ---- tasks ---- */
static struct loop_task tasks[3];

static void note_and_defer_c(void *arg)
{
	note(arg);
	if (strlen(seen) < 4)
		loop_defer(loop, &tasks[2]);
}

static void tasks_run_once_and_in_order(void)
{
	begin();
	loop_task_init(&tasks[0], note, &names[0]);
	loop_task_init(&tasks[1], note_and_defer_c, &names[1]);
	loop_task_init(&tasks[2], note, &names[2]);
	loop_defer(loop, &tasks[1]);
	loop_defer(loop, &tasks[0]);
	loop_defer(loop, &tasks[1]);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "bac");
	loop_defer(loop, &tasks[0]);
	loop_defer(loop, &tasks[2]);
	loop_task_cancel(&tasks[0]);
	loop_task_cancel(&tasks[0]);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "bacc");
	end();
}

static struct loop_task forever;

static void defer_again(void *arg)
{
	(void)arg;
	loop_defer(loop, &forever);
}

static void a_task_that_returns_does_not_keep_others_out(void)
{
	begin();
	loop_task_init(&forever, defer_again, NULL);
	loop_defer(loop, &forever);
	turn();
	loop_task_cancel(&forever);
	end();
}

/* ---- what stands back ---- */
#define CROWD (3 * LOOP_BEGINS)
#define LEAVES (2 * LOOP_BEGINS + 7) /* goes while it stands back */
static struct loop_task crowd[CROWD];
static unsigned begun[CROWD]; /* who, in the order of beginning */
static unsigned nbegun;
static bool all_begun;
static int answer_fd;
static unsigned begun_before_answer;

static void begin_work(void *arg)
{
	begun[nbegun++] = (unsigned)((struct loop_task *)arg - crowd);
	/* The first of those who stood back is answered at once. */
	if (nbegun == LOOP_BEGINS + 1)
		CU_ASSERT_EQUAL(eventfd_write(answer_fd, 1), 0);
	all_begun = nbegun == CROWD - 1;
	if (all_begun)
		loop_stop(loop);
}

static void ask(unsigned who)
{
	if (loop_begin(loop, &crowd[who]))
		begin_work(&crowd[who]);
}

/* All but the last, each twice: who stands back already is not queued again. */
static void all_ask(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < CROWD - 1; i++)
		ask(i);
	for (unsigned i = LOOP_BEGINS; i < CROWD - 1; i++)
		ask(i);
	CU_ASSERT_EQUAL(nbegun, LOOP_BEGINS);
}

/* Who asks now comes after those who wait. */
static void answered(void *arg, unsigned ready)
{
	(void)arg;
	if (!(ready & LOOP_READ))
		return;
	begun_before_answer = nbegun;
	loop_task_cancel(&crowd[LEAVES]);
	ask(CROWD - 1);
}

static void what_is_begun_stands_back_in_order(void)
{
	struct loop_task first;
	struct loop_io *answer;

	begin();
	nbegun = 0;
	all_begun = false;
	answer_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CU_ASSERT_FATAL(answer_fd >= 0);
	answer = loop_io_new(loop, answer_fd, answered, NULL);
	turn();
	for (unsigned i = 0; i < CROWD; i++)
		loop_task_init(&crowd[i], begin_work, &crowd[i]);
	loop_task_init(&first, all_ask, NULL);
	loop_defer(loop, &first);
	until(&all_begun);
	CU_ASSERT_EQUAL(begun_before_answer, 2 * LOOP_BEGINS);
	for (unsigned i = 0; i < nbegun; i++)
		CU_ASSERT_EQUAL(begun[i], i < LEAVES ? i : i + 1);
	turn();
	CU_ASSERT_EQUAL(nbegun, CROWD - 1);
	/* The next turn's share is whole again. */
	loop_task_init(&crowd[0], begin_work, &crowd[0]);
	CU_ASSERT_TRUE(loop_begin(loop, &crowd[0]));
	loop_io_free(answer);
	close(answer_fd);
	end();
}

/* ---- messages ---- */
#define POSTERS 4
#define POSTS 5000
static unsigned came[POSTERS];
static unsigned came_all;
static bool came_in_order;
static bool came_whole;

struct post {
	unsigned from;
	unsigned number;
};

static void take_post(void *arg)
{
	const struct post *p = arg;

	if (came[p->from]++ != p->number)
		came_in_order = false;
	if (++came_all == POSTERS * POSTS) {
		came_whole = true;
		loop_stop(loop);
	}
}

static void *poster(void *arg)
{
	unsigned from = *(unsigned *)arg;

	for (unsigned i = 0; i < POSTS; i++) {
		struct post *p = malloc(sizeof(*p));

		if (!p)
			abort();
		*p = (struct post){from, i};
		loop_post_owned(loop, take_post, p);
	}
	return NULL;
}

static void messages_of_many_threads_all_come_in_order(void)
{
	pthread_t id[POSTERS];
	unsigned from[POSTERS];

	begin();
	memset(came, 0, sizeof(came));
	came_all = 0;
	came_in_order = true;
	came_whole = false;
	for (unsigned i = 0; i < POSTERS; i++) {
		from[i] = i;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&id[i], NULL, poster, &from[i]), 0);
	}
	until(&came_whole);
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(id[i], NULL);
	CU_ASSERT_EQUAL(came_all, POSTERS * POSTS);
	CU_ASSERT_TRUE(came_in_order);
	end();
}

static void a_stop_before_the_run_is_not_lost(void)
{
	begin();
	loop_stop(loop);
	loop_run(loop); /* returns, or the test hangs */
	loop_post(loop, note, names);
	turn();
	CU_ASSERT_STRING_EQUAL(seen, "a");
	/* Unrun and owned: the leak checker watches. */
	loop_post_owned(loop, note, malloc(8));
	end();
	CU_ASSERT_STRING_EQUAL(seen, "a");
}

/* ---- descriptors ---- */
static struct loop_io *ios[2];
static unsigned io_calls;

static void free_both(void *arg, unsigned ready)
{
	(void)arg;
	CU_ASSERT(ready & LOOP_READ);
	io_calls++;
	loop_io_free(ios[0]);
	loop_io_free(ios[1]);
	ios[0] = ios[1] = NULL;
}

static void a_descriptor_freed_while_ready_is_silent(void)
{
	int fd[2];

	begin();
	io_calls = 0;
	for (int i = 0; i < 2; i++) {
		fd[i] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
		CU_ASSERT_FATAL(fd[i] >= 0);
		ios[i] = loop_io_new_level(loop, fd[i], LOOP_READ, free_both, NULL);
	}
	turn();
	CU_ASSERT_EQUAL(io_calls, 1);
	close(fd[0]);
	close(fd[1]);
	end();
}

static unsigned edges;

static void count_edge(void *arg, unsigned ready)
{
	(void)arg;
	if (ready & LOOP_READ)
		edges++;
}

static void count_level(void *arg, unsigned ready)
{
	count_edge(arg, ready);
}

static void edges_come_once_and_levels_each_time(void)
{
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	int fd2 = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	struct loop_io *io;

	begin();
	edges = 0;
	io = loop_io_new(loop, fd, count_edge, NULL);
	turn();
	CU_ASSERT_EQUAL(edges, 1);
	loop_io_free(io);
	edges = 0;
	io = loop_io_new_level(loop, fd2, LOOP_READ, count_level, NULL);
	turn();
	CU_ASSERT(edges > 1);
	loop_io_free(io);
	close(fd);
	close(fd2);
	end();
}

/* A closed descriptor's number comes back with the next one: its watch must not be taken for the
 * old one. */
static void a_number_used_again_is_watched_anew(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int fd2;
	struct loop_io *io;

	begin();
	edges = 0;
	io = loop_io_new(loop, fd, count_edge, NULL);
	turn();
	loop_io_free(io);
	close(fd);
	fd2 = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	CU_ASSERT_EQUAL(fd, fd2);
	io = loop_io_new(loop, fd2, count_edge, NULL);
	turn();
	CU_ASSERT_EQUAL(edges, 1);
	loop_io_free(io);
	close(fd2);
	end();
}

static void signals_come_by_the_loop(void)
{
	bool *flag = &rang;

	begin();
	rang = false;
	CU_ASSERT_EQUAL_FATAL(loop_signal(loop, SIGUSR1, ring, NULL), 0);
	raise(SIGUSR1);
	CU_ASSERT_FALSE(rang);
	until(flag);
	CU_ASSERT_TRUE(rang);
	end();
}

static void the_time_of_a_turn_stands_still(void)
{
	uint64_t now;

	begin();
	clock_freeze(5 * HOUR, 77);
	now = loop_now(loop);
	CU_ASSERT_EQUAL(now, 5 * HOUR);
	CU_ASSERT_EQUAL(loop_wall_us(loop), 77);
	clock_freeze(6 * HOUR, 78);
	CU_ASSERT_EQUAL(loop_now(loop), 5 * HOUR);
	CU_ASSERT_EQUAL(loop_wall_us(loop), 77);
	turn();
	CU_ASSERT_EQUAL(loop_now(loop), 6 * HOUR);
	CU_ASSERT_EQUAL(loop_wall_us(loop), 78);
	end();
}

UNIT_MAIN("net_loop", UNIT(timers_fire_in_order_of_deadline),
          UNIT(a_timer_moved_later_is_only_stored_and_fires_late),
          UNIT(a_timer_moved_earlier_overtakes_the_others),
          UNIT(cleared_and_dropped_timers_are_silent), UNIT(many_timers_stay_sorted),
          UNIT(a_dropped_timer_leaves_the_rest_sorted),
          UNIT(a_timer_always_due_does_not_keep_others_out),
          UNIT(the_wait_ends_for_a_timer_moved_earlier), UNIT(tasks_run_once_and_in_order),
          UNIT(a_task_that_returns_does_not_keep_others_out),
          UNIT(what_is_begun_stands_back_in_order),
          UNIT(messages_of_many_threads_all_come_in_order), UNIT(a_stop_before_the_run_is_not_lost),
          UNIT(a_descriptor_freed_while_ready_is_silent),
          UNIT(edges_come_once_and_levels_each_time), UNIT(a_number_used_again_is_watched_anew),
          UNIT(signals_come_by_the_loop), UNIT(the_time_of_a_turn_stands_still))
