/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Driving a loop from a test without waiting for time to pass: turn() looks at what is ready now,
 * until() waits for a flag that a callback sets. A watchdog ends a program that would hang.
 */
#ifndef NET_PUMP_H
#define NET_PUMP_H

#include "unit.h"

#include "base/clock.h"
#include "net/loop.h"

static struct loop *loop;
static struct loop_timer pump_watchdog;

static inline void pump_hung(void *arg)
{
	(void)arg;
	fprintf(stderr, "nothing came within 30 seconds\n");
	abort();
}

static inline void pump_stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* Descriptors that are ready, due timers and tasks, those put up by them too. */
static inline void turn(void)
{
	for (int i = 0; i < 6; i++) {
		loop_post(loop, pump_stop, NULL);
		loop_run(loop);
	}
}

/* Callbacks that may set the flag call loop_stop(). */
static inline void until(const bool *flag)
{
	loop_timer_init(&pump_watchdog, pump_hung, NULL);
	loop_timer_in(loop, &pump_watchdog, 30 * NS_PER_S);
	while (!*flag)
		loop_run(loop);
	loop_timer_drop(loop, &pump_watchdog);
}

#endif
