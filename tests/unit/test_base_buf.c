/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Growable bytes and chains: ceilings, joining, sharing, and that each block is dropped once. What
 * leaks or is freed twice here is found by the sanitizers of the development build.
 */
#include "base/buf.h"
#include "base/mem.h"

#include "unit.h"

#include <errno.h>
#include <unistd.h>

static void a_full_buf_takes_nothing_of_what_does_not_fit(void)
{
	struct buf b;

	buf_init(&b, 8);
	CU_ASSERT(buf_add(&b, "12345", 5) == 0);
	CU_ASSERT(buf_add(&b, "6789", 4) == BUF_E_FULL);
	CU_ASSERT(str_eq(buf_str(&b), STR("12345")));
	CU_ASSERT(buf_addf(&b, "%s", "6789") == BUF_E_FULL);
	CU_ASSERT(buf_addf(&b, "%d", 678) == 0);
	CU_ASSERT(str_eq(buf_str(&b), STR("12345678")));
	CU_ASSERT(buf_add(&b, "", 0) == 0);
	CU_ASSERT(buf_reserve(&b, 1) == BUF_E_FULL);
	CU_ASSERT(buf_reserve(&b, SIZE_MAX) == BUF_E_FULL);
	buf_deinit(&b);
	CU_ASSERT(b.max == 8 && b.n == 0 && b.p == NULL);
}

static void a_buf_grows_and_keeps_its_bytes(void)
{
	struct buf b;

	buf_init(&b, 100000);
	for (int i = 0; i < 10000; i++)
		CU_ASSERT_FATAL(buf_addf(&b, "%04d,", i) == 0);
	CU_ASSERT(b.n == 50000);
	CU_ASSERT(memcmp(b.p + 5 * 1234, "1234,", 5) == 0);
	CU_ASSERT(b.cap <= b.max);
	buf_reset(&b);
	CU_ASSERT(b.n == 0 && b.p != NULL);
	CU_ASSERT(buf_adds(&b, STR("secret")) == 0);
	buf_wipe(&b);
	CU_ASSERT(b.n == 0 && b.p[0] == 0 && b.p[5] == 0);
	CU_ASSERT(buf_addf(&b, "%s", "") == 0);
	buf_deinit(&b);
}

static void a_buf_without_room_at_all(void)
{
	struct buf b;

	buf_init(&b, 0);
	CU_ASSERT(buf_add(&b, "x", 1) == BUF_E_FULL);
	CU_ASSERT(buf_addf(&b, "%s", "") == 0);
	CU_ASSERT(buf_addf(&b, "x") == BUF_E_FULL);
	buf_deinit(&b);
}

static void a_pool_keeps_a_bounded_number_of_blocks(void)
{
	struct block_pool pool;
	struct block *b[4];

	block_pool_init(&pool, 2);
	for (int i = 0; i < 4; i++)
		b[i] = block_new(&pool, 100);
	CU_ASSERT(b[0]->cap == BLOCK_SIZE && b[0]->refs == 1 && b[0]->used == 0);
	for (int i = 0; i < 4; i++)
		block_unref(b[i]);
	CU_ASSERT(pool.nfree == 2);
	CU_ASSERT_PTR_EQUAL(block_new(&pool, 1), b[1]);
	CU_ASSERT(pool.nfree == 1);
	b[2] = block_new(&pool, BLOCK_SIZE + 1);
	CU_ASSERT(b[2]->pool == NULL && b[2]->cap == BLOCK_SIZE + 1);
	block_unref(b[2]);
	CU_ASSERT(pool.nfree == 1);
	block_pool_deinit(&pool);
	/* A block that outlives its pool goes to the heap. */
	block_unref(b[1]);
	CU_ASSERT(pool.nfree == 0 && pool.free == NULL);
	block_unref(NULL);
}

static size_t flatten(const struct chain *c, char *out)
{
	struct iovec iov[512];
	int n = chain_iov(c, iov, 512);
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	return at;
}

static bool chain_is(const struct chain *c, const char *text)
{
	char out[8192];
	size_t n = flatten(c, out);

	return n == strlen(text) && n == c->bytes && memcmp(out, text, n) == 0;
}

static struct slice literal(const char *z)
{
	return (struct slice){.block = NULL, .p = z, .n = strlen(z)};
}

static void a_chain_grows_and_has_no_ring_when_it_is_empty(void)
{
	struct chain c;
	char want[301] = "";

	chain_init(&c);
	for (int i = 0; i < 100; i++) {
		char part[8];

		snprintf(part, sizeof(part), "%03d", i);
		chain_push(&c, slice_copy(NULL, part, 3));
		strcat(want, part);
		/* The head moves, so that the ring wraps while it grows. */
		if (i % 3 == 2) {
			chain_drain(&c, 3);
			memmove(want, want + 3, strlen(want) - 2);
		}
	}
	CU_ASSERT(c.count == 67 && c.ring != NULL);
	CU_ASSERT(chain_is(&c, want));
	chain_drain(&c, c.bytes);
	CU_ASSERT(c.count == 0 && c.bytes == 0 && c.ring == NULL);
	chain_push(&c, literal("x"));
	CU_ASSERT(chain_is(&c, "x"));
	chain_deinit(&c);
}

static void adjacent_slices_of_a_block_are_joined(void)
{
	struct slice all = slice_copy(NULL, "abcdef", 6);
	struct slice first = all, second = all, third = all;
	struct chain c;

	chain_init(&c);
	first.n = 2;
	second.p += 2;
	second.n = 2;
	third.p += 5;
	third.n = 1;
	chain_push(&c, slice_ref(first));
	chain_push(&c, slice_ref(second));
	CU_ASSERT(c.count == 1 && c.bytes == 4 && all.block->refs == 2);
	chain_push(&c, slice_ref(third));
	CU_ASSERT(c.count == 2 && all.block->refs == 3);
	CU_ASSERT(chain_is(&c, "abcdf"));
	first.n = 0;
	chain_push(&c, slice_ref(first));
	CU_ASSERT(c.count == 2 && all.block->refs == 3);
	/* Static memory is never joined: two literals side by side are two objects. */
	static const char two[] = "xy";
	chain_push(&c, (struct slice){NULL, two, 1});
	chain_push(&c, (struct slice){NULL, two + 1, 1});
	CU_ASSERT(c.count == 4);
	chain_deinit(&c);
	CU_ASSERT(all.block->refs == 1);
	slice_unref(all);
}

static void copies_fill_the_tail_unless_it_is_shared(void)
{
	struct block_pool pool;
	struct chain c, other;
	struct slice kept;

	block_pool_init(&pool, 4);
	chain_init(&c);
	chain_init(&other);
	chain_copy(&c, &pool, "abc", 3);
	chain_copy(&c, &pool, "def", 3);
	CU_ASSERT(c.count == 1 && chain_is(&c, "abcdef"));
	kept = slice_ref(*chain_at(&c, 0));
	chain_copy(&c, &pool, "ghi", 3);
	CU_ASSERT(c.count == 2 && chain_is(&c, "abcdefghi"));
	CU_ASSERT(kept.n == 6 && memcmp(kept.p, "abcdef", 6) == 0);
	slice_unref(kept);
	/* A tail that does not end where its block was last written must not be appended to. */
	chain_push(&c, slice_copy(&pool, "123456", 6));
	chain_move(&other, &c, 12);
	CU_ASSERT(chain_is(&other, "abcdefghi123") && chain_is(&c, "456"));
	chain_copy(&other, &pool, "X", 1);
	CU_ASSERT(chain_is(&other, "abcdefghi123X") && chain_is(&c, "456"));
	chain_deinit(&c);
	chain_deinit(&other);
	block_pool_deinit(&pool);
}

static void a_large_copy_takes_several_blocks(void)
{
	static char bytes[3 * BLOCK_SIZE + 10];
	struct block_pool pool;
	struct chain c;
	struct iovec iov[8];

	block_pool_init(&pool, 4);
	chain_init(&c);
	memset(bytes, 'q', sizeof(bytes));
	chain_copy(&c, &pool, bytes, sizeof(bytes));
	CU_ASSERT(c.count == 4 && c.bytes == sizeof(bytes));
	chain_copy(&c, NULL, "end", 3);
	CU_ASSERT(c.count == 4 && c.bytes == sizeof(bytes) + 3);
	CU_ASSERT(chain_iov(&c, iov, 2) == 2);
	CU_ASSERT(chain_iov(&c, iov, 8) == 4 && iov[3].iov_len == 13);
	chain_drain(&c, sizeof(bytes));
	CU_ASSERT(chain_is(&c, "end"));
	chain_deinit(&c);
	block_pool_deinit(&pool);
}

static void moving_and_shifting_hand_references_over(void)
{
	struct chain a, b;
	struct slice s;
	struct block *block;

	chain_init(&a);
	chain_init(&b);
	chain_push(&a, slice_copy(NULL, "hello", 5));
	block = chain_at(&a, 0)->block;
	chain_push(&a, literal("world"));
	chain_move(&b, &a, 3);
	CU_ASSERT(block->refs == 2);
	CU_ASSERT(chain_is(&b, "hel") && chain_is(&a, "loworld"));
	chain_move(&b, &a, 2);
	CU_ASSERT(block->refs == 1 && b.count == 1);
	chain_move(&b, &a, 5);
	CU_ASSERT(chain_is(&b, "helloworld") && a.count == 0);
	s = chain_shift(&b);
	CU_ASSERT(s.block == block && s.n == 5 && block->refs == 1);
	CU_ASSERT(chain_is(&b, "world"));
	slice_unref(s);
	chain_deinit(&a);
	chain_deinit(&b);
}

static void small_pieces_behind_others_are_packed(void)
{
	struct block_pool pool;
	struct chain c;
	static char big[BLOCK_SIZE / 2];

	block_pool_init(&pool, 4);
	chain_init(&c);
	for (int i = 0; i < 100; i++)
		chain_pack(&c, &pool, slice_copy(&pool, "abc", 3));
	CU_ASSERT_EQUAL(c.bytes, 300);
	/* the first as it came, the rest behind it in the room of its block */
	CU_ASSERT_EQUAL(c.count, 1);
	chain_pack(&c, &pool, slice_copy(&pool, big, sizeof(big)));
	CU_ASSERT_EQUAL(c.count, 2);
	chain_pack(&c, &pool, (struct slice){NULL, "static", 6});
	CU_ASSERT_EQUAL(c.bytes, 306 + sizeof(big));
	CU_ASSERT_EQUAL(memcmp(chain_at(&c, 0)->p, "abcabc", 6), 0);
	chain_deinit(&c);
	block_pool_deinit(&pool);
}

/* A piece of n bytes in a block of the size that large bodies are read in. */
static struct slice of_a_large_block(size_t n)
{
	struct block *b = block_new(NULL, 4 * BLOCK_SIZE);

	memset(b->data, 'x', n);
	b->used = (uint32_t)n;
	return (struct slice){.block = b, .p = b->data, .n = n};
}

static size_t chain_holds(const struct chain *c)
{
	size_t n = 0;

	for (uint32_t i = 0; i < c->count; i++)
		n += chain_at(c, i)->block->cap;
	return n;
}

static void a_few_bytes_hold_no_large_block(void)
{
	struct block_pool pool;
	struct chain c;

	block_pool_init(&pool, 4);
	chain_init(&c);
	chain_pack(&c, &pool, of_a_large_block(1));
	CU_ASSERT_EQUAL(chain_holds(&c), BLOCK_SIZE);
	/* What hardly fills a common block, and was read among much that is no body. */
	for (int i = 0; i < 64; i++)
		chain_pack(&c, &pool, of_a_large_block(BLOCK_SIZE / 2));
	CU_ASSERT_EQUAL(c.bytes, 1 + 64 * BLOCK_SIZE / 2);
	CU_ASSERT(chain_holds(&c) <= 4 * c.bytes);
	chain_deinit(&c);
	/* The rest goes on as it is. */
	chain_pack(&c, &pool, of_a_large_block(BLOCK_SIZE));
	chain_pack(&c, &pool, of_a_large_block(4 * BLOCK_SIZE));
	CU_ASSERT_EQUAL(c.count, 2);
	CU_ASSERT_EQUAL(chain_holds(&c), 8 * BLOCK_SIZE);
	chain_deinit(&c);
	block_pool_deinit(&pool);
}

/* ---- against a model ---- */
#define QUEUE_MAX (1 << 17)
struct queue {
	char p[QUEUE_MAX];
	size_t n;
};

static uint32_t dice(uint32_t below)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

static void queue_add(struct queue *q, const char *p, size_t n)
{
	memcpy(q->p + q->n, p, n);
	q->n += n;
}

static void queue_drop(struct queue *q, size_t n)
{
	q->n -= n;
	memmove(q->p, q->p + n, q->n);
}

static bool chain_is_queue(const struct chain *c, const struct queue *q)
{
	size_t at = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		const struct slice *s = chain_at(c, i);

		if (s->n == 0 || at + s->n > q->n || memcmp(q->p + at, s->p, s->n) != 0)
			return false;
		at += s->n;
	}
	return at == q->n && c->bytes == q->n && (c->count > 0 || !c->ring);
}

static void some_bytes_come(struct chain *c, struct queue *q, struct block_pool *pool)
{
	static char bytes[BLOCK_SIZE];
	size_t n = dice(8) ? dice(60) : dice(sizeof(bytes));
	static char seen;

	memset(bytes, ++seen, n);
	queue_add(q, bytes, n);
	switch (dice(3)) {
	case 0:
		chain_push(c, slice_copy(pool, bytes, n));
		break;
	case 1:
		chain_copy(c, pool, bytes, n);
		break;
	default:
		chain_pack(c, pool, slice_copy(pool, bytes, n));
		break;
	}
}

static void some_bytes_go(struct chain *c, struct queue *q, struct chain *to, struct queue *to_q)
{
	size_t n = dice(3) ? dice((uint32_t)c->bytes + 1) : c->bytes;

	switch (c->count ? dice(3) : 0) {
	case 0:
		chain_drain(c, n);
		queue_drop(q, n);
		break;
	case 1:
		n = chain_at(c, 0)->n;
		slice_unref(chain_shift(c));
		queue_drop(q, n);
		break;
	default:
		if (to->bytes + n > QUEUE_MAX / 2)
			break;
		chain_move(to, c, n);
		queue_add(to_q, q->p, n);
		queue_drop(q, n);
		break;
	}
}

static void chains_do_what_queues_of_bytes_do(void)
{
	static struct queue q[2];
	struct chain c[2] = {{0}, {0}};
	struct block_pool pool;

	block_pool_init(&pool, 4);
	for (int i = 0; i < 30000; i++) {
		uint32_t k = dice(2);

		if (c[k].bytes < QUEUE_MAX / 2 && dice(5) < 3)
			some_bytes_come(&c[k], &q[k], &pool);
		else
			some_bytes_go(&c[k], &q[k], &c[!k], &q[!k]);
		CU_ASSERT_FATAL(chain_is_queue(&c[0], &q[0]) && chain_is_queue(&c[1], &q[1]));
	}
	chain_deinit(&c[0]);
	chain_deinit(&c[1]);
	CU_ASSERT(c[0].bytes == 0 && c[0].ring == NULL);
	block_pool_deinit(&pool);
}

static void a_file_is_read_to_its_end(void)
{
	FILE *f = tmpfile();
	struct buf b, small;
	int fd = f ? fileno(f) : -1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (int i = 0; i < 3000; i++)
		CU_ASSERT_EQUAL_FATAL(fprintf(f, "%04d\n", i), 5);
	CU_ASSERT_EQUAL(fflush(f), 0);
	buf_init(&b, 15000);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	CU_ASSERT_EQUAL(buf_read(&b, fd), 0);
	CU_ASSERT_EQUAL_FATAL(b.n, 15000);
	CU_ASSERT_EQUAL(memcmp(b.p + 14995, "2999\n", 5), 0);
	CU_ASSERT_EQUAL(buf_read(&b, fd), 0); /* at the end, full as it is */
	buf_init(&small, 14999);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	CU_ASSERT_EQUAL(buf_read(&small, fd), BUF_E_FULL);
	CU_ASSERT_EQUAL(buf_read(&small, -1), -EBADF);
	buf_deinit(&small);
	buf_deinit(&b);
	fclose(f);
}

UNIT_MAIN("buf", UNIT(chains_do_what_queues_of_bytes_do), UNIT(a_file_is_read_to_its_end),
          UNIT(small_pieces_behind_others_are_packed), UNIT(a_few_bytes_hold_no_large_block),
          UNIT(a_full_buf_takes_nothing_of_what_does_not_fit),
          UNIT(a_buf_grows_and_keeps_its_bytes), UNIT(a_buf_without_room_at_all),
          UNIT(a_pool_keeps_a_bounded_number_of_blocks),
          UNIT(a_chain_grows_and_has_no_ring_when_it_is_empty),
          UNIT(adjacent_slices_of_a_block_are_joined),
          UNIT(copies_fill_the_tail_unless_it_is_shared), UNIT(a_large_copy_takes_several_blocks),
          UNIT(moving_and_shifting_hand_references_over))
