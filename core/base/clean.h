/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Locals that free themselves: `_cleanup_(xfreep) char *p = NULL;`. steal() hands such a local
 * over.
 */
#ifndef BASE_CLEAN_H
#define BASE_CLEAN_H

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define steal(ptr)                                                                                 \
	({                                                                                         \
		__typeof__(*(ptr)) stolen_ = *(ptr);                                               \
		*(ptr) = NULL;                                                                     \
		stolen_;                                                                           \
	})

void xfreep(void *pp); /* char **, void **: free */
void closep(int *fd);  /* close if >= 0 */

#endif
