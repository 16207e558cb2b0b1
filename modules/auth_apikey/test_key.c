/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl key against the module that reads what it writes: keys that were created work, revoked
 * ones do not, and lines that were not meant stay as they are.
 */
#include "ctl/cmd_key.h"

#include "base/hash.h"
#include "common/fakehost.h"
#include "keyfile.h"

#include "unit/unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOREIGN "sk-0123456789abcdef0123456789abcdef"

static char dir[] = "/tmp/merlon-key-XXXXXX";
static char path[64], out[8192], err[4096];

static void begin(void)
{
	if (path[0] == '\0') {
		hash_init();
		CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
		snprintf(path, sizeof(path), "%s/keys.jsonl", dir);
	}
	unlink(path);
}

static void capture(int fd, char *into, size_t n)
{
	ssize_t got = pread(fd, into, n - 1, 0);

	into[got > 0 ? got : 0] = '\0';
	close(fd);
}

/* Runs "merlonctl key " and these words (blanks divide, @ is the file), with `in` on standard
 * input. */
static int run(bool json, const char *words, const char *in)
{
	int fds[3] = {memfd_create("in", 0), memfd_create("out", 0), memfd_create("err", 0)};
	char copy[512], *argv[40], *save = NULL;
	int kept[3], argc = 0, code;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "@") == 0 ? path : w;
	argv[argc] = NULL;
	if (in)
		CU_ASSERT_EQUAL(write(fds[0], in, strlen(in)), (ssize_t)strlen(in));
	lseek(fds[0], 0, SEEK_SET);
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		kept[i] = dup(i);
		dup2(fds[i], i);
	}
	clearerr(stdin);
	code = ctl_key(argc, argv, json);
	fflush(stdout);
	for (int i = 0; i < 3; i++) {
		dup2(kept[i], i);
		close(kept[i]);
	}
	close(fds[0]);
	capture(fds[1], out, sizeof(out));
	capture(fds[2], err, sizeof(err));
	return code;
}

static char *content(void)
{
	static char text[65536];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

/* Asks the module: the code for this key now, with the file as it stands. */
static int32_t ask(const char *key)
{
	static merlon_ctx ctx = {
	    .stack = "s", .group = "auth", .line = "l", .module = "auth_apikey"};
	const struct merlon_module *m = merlon_module_v1(&fake_host);
	void *inst, *w;
	int32_t code;

	fake_file("k", content());
	merlon_cfg *cfg = fake_cfg(m, "keys_file = \"k\";");
	CU_ASSERT_EQUAL_FATAL(m->create(&ctx, cfg, &inst), 0);
	fake_cfg_free(cfg);
	m->worker_start(inst, NULL, &w);
	merlon_tx *tx = fake_tx_new();
	fake_header(tx, MERLON_REQUEST, "x-api-key", key);
	code = m->check(inst, w, tx, MERLON_AUTH);
	fake_tx_free(tx);
	m->worker_stop(inst, NULL, w);
	m->destroy(inst);
	fake_reset();
	return code;
}

static void take_key(char key[APIKEY_LEN + 1])
{
	snprintf(key, APIKEY_LEN + 1, "%.*s", APIKEY_LEN, out);
	CU_ASSERT_TRUE(apikey_valid(key, strlen(key)));
	CU_ASSERT_STRING_EQUAL(out + strlen(key), "\n"); /* the key alone */
}

static void a_created_key_works_until_it_is_revoked(void)
{
	char key[APIKEY_LEN + 1], words[100];
	struct stat st;

	begin();
	fake_reset();
	CU_ASSERT_EQUAL(run(false, "create --keys @ --sub alice", NULL), 0);
	take_key(key);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_PTR_NULL(strstr(content(), key + 13)); /* the secret is not stored */
	fake_now[1] = UINT64_C(1800000000) * 1000000000;
	CU_ASSERT_EQUAL(ask(key), MERLON_OK);
	snprintf(words, sizeof(words), "revoke --keys @ %.8s", key + 4);
	CU_ASSERT_EQUAL(run(false, words, NULL), 0);
	CU_ASSERT_EQUAL(ask(key), MERLON_BADCRED);
	CU_ASSERT_EQUAL(run(false, words, NULL), 0); /* again is fine */
	snprintf(words, sizeof(words), "rotate --keys @ %.8s", key + 4);
	CU_ASSERT_EQUAL(run(false, words, NULL), 1);
}

static void all_members_are_written(void)
{
	begin();
	CU_ASSERT_EQUAL(run(true,
	                    "create --keys @ --sub a --org o --team t --tier g --role r1 --role r2 "
	                    "--scope s --model m-* --action predict --expires 90d "
	                    "--not-before 2026-01-01T00:00:00Z",
	                    NULL),
	                0);
	json_t *o = json_loads(out, 0, NULL), *line = json_loads(content(), 0, NULL);
	CU_ASSERT_TRUE(json_is_string(json_object_get(o, "key")));
	CU_ASSERT_PTR_NULL(json_object_get(o, "hashes"));
	CU_ASSERT_PTR_NULL(json_object_get(line, "key"));
	json_object_del(o, "key");
	json_object_del(line, "hashes");
	CU_ASSERT_TRUE(json_equal(o, line));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "roles")), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(o, "not_before")),
	                       "2026-01-01T00:00:00.000000Z");
	json_decref(o);
	json_decref(line);
	CU_ASSERT_EQUAL(ask(FOREIGN), MERLON_BADCRED); /* and the module reads it */
}

static void rotation_gives_a_new_secret(void)
{
	char old[APIKEY_LEN + 1], new[APIKEY_LEN + 1], newest[APIKEY_LEN + 1], words[100];

	begin();
	CU_ASSERT_EQUAL(run(false, "create --keys @ --sub alice", NULL), 0);
	take_key(old);
	snprintf(words, sizeof(words), "rotate --keys @ %.8s --overlap 1h", old + 4);
	CU_ASSERT_EQUAL(run(false, words, NULL), 0);
	take_key(new);
	CU_ASSERT_EQUAL(memcmp(old, new, 13), 0);
	CU_ASSERT_NOT_EQUAL(strcmp(old, new), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(content(), "\"overlap_until\":"));
	CU_ASSERT_EQUAL(ask(old), MERLON_OK); /* the fake clock stands in 2023 */
	CU_ASSERT_EQUAL(ask(new), MERLON_OK);
	snprintf(words, sizeof(words), "rotate --keys @ %.8s", old + 4);
	CU_ASSERT_EQUAL(run(false, words, NULL), 0);
	take_key(newest);
	CU_ASSERT_PTR_NULL(strstr(content(), "overlap_until"));
	CU_ASSERT_EQUAL(ask(old), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask(new), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask(newest), MERLON_OK);
}

static void foreign_keys_are_imported_by_hash(void)
{
	begin();
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub bob", FOREIGN "\r\n"), 0);
	CU_ASSERT_TRUE(apikey_is_id(out, 8) && out[8] == '\n' && out[9] == '\0');
	CU_ASSERT_PTR_NULL(strstr(content(), "sk-"));
	CU_ASSERT_EQUAL(ask(FOREIGN), MERLON_OK);
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub bob", FOREIGN), 1); /* there already */
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub bob", "short"), 1);
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub bob", FOREIGN " x"), 1);
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub bob", "mrl_" FOREIGN), 1);
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub bob", ""), 1);
	char key[APIKEY_LEN + 1] = {0}; /* of another Merlon: it keeps its id */
	apikey_new(NULL, key);
	CU_ASSERT_EQUAL(run(false, "import --keys @ --sub eve", key), 0);
	CU_ASSERT_EQUAL(memcmp(out, key + 4, 8), 0);
	CU_ASSERT_EQUAL(ask(key), MERLON_OK);
}

static void other_lines_stay_byte_for_byte(void)
{
	static const char before[] = "  {\"sub\" : \"x\", \"id\":\"AAAAAAAA\",\"odd\":1.10 }\n"
				     "# what somebody wrote\n\n";
	static const char mine[] = "{\"z\":1,\"id\":\"BBBBBBBB\",\"sub\":\"y\"}";
	char want[1024];

	begin();
	FILE *f = fopen(path, "w");
	fprintf(f, "%s%s\n%s", before, mine, "no line end");
	fclose(f);
	CU_ASSERT_EQUAL(run(false, "revoke --keys @ BBBBBBBB", NULL), 0);
	snprintf(want, sizeof(want), "%s%s%s", before,
	         "{\"z\":1,\"id\":\"BBBBBBBB\",\"sub\":\"y\",\"disabled\":true}\n", "no line end");
	CU_ASSERT_STRING_EQUAL(content(), want);
	CU_ASSERT_EQUAL(run(false, "create --keys @ --sub new", NULL), 0);
	CU_ASSERT_EQUAL(strncmp(content(), want, strlen(want)), 0);
	CU_ASSERT_EQUAL(strncmp(content() + strlen(want), "\n{\"id\":", 7), 0);
}

static void lists_show_no_hash(void)
{
	begin();
	CU_ASSERT_EQUAL(run(false, "create --keys @ --sub alice --org acme", NULL), 0);
	CU_ASSERT_EQUAL(
	    run(false, "create --keys @ --sub bob --expires 2020-01-01T00:00:00Z", NULL), 0);
	CU_ASSERT_EQUAL(run(false, "list --keys @", NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "alice"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "live\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "expired\n"));
	CU_ASSERT_PTR_NULL(strstr(out, "sha256"));
	CU_ASSERT_EQUAL(run(true, "list --keys @", NULL), 0);
	CU_ASSERT_PTR_NULL(strstr(out, "sha256"));
	json_t *a = json_loads(out, 0, NULL);
	CU_ASSERT_EQUAL(json_array_size(a), 2);
	json_decref(a);
	CU_ASSERT_EQUAL(run(false, "list --keys @ AAAAAAAA", NULL), 1);
}

static void two_at_once_lose_nothing(void)
{
	unsigned lines = 0;

	begin();
	for (int child = 0; child < 4; child++) {
		if (fork() == 0) {
			for (int i = 0; i < 10; i++) {
				char *argv[] = {(char[]){"create"}, (char[]){"--keys"}, path,
				                (char[]){"--sub"},  (char[]){"x"},      NULL};
				int fd = open("/dev/null", O_WRONLY);
				dup2(fd, 1);
				close(fd);
				if (ctl_key(5, argv, false) != 0)
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int child = 0; child < 4; child++) {
		int status = -1;
		wait(&status);
		CU_ASSERT_EQUAL(status, 0);
	}
	for (const char *p = content(); *p; p++)
		lines += *p == '\n';
	CU_ASSERT_EQUAL(lines, 40);
}

static void usage_and_missing_files(void)
{
	static const char *const bad[] = {"",
	                                  "make --keys @",
	                                  "create --sub a",
	                                  "create --keys @",
	                                  "create --keys @ --sub",
	                                  "create --keys @ --sub a extra",
	                                  "create --keys @ --sub a --sub b",
	                                  "create --keys @ --sub a --action fly",
	                                  "create --keys @ --sub a --expires soon",
	                                  "create --keys @ --sub a\x01",
	                                  "create --keys @ --sub \xff",
	                                  "create --keys @ --wat a",
	                                  "revoke --keys @",
	                                  "revoke --keys @ short",
	                                  "rotate --keys @ AAAAAAAA BBBBBBBB"};

	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(run(false, bad[i], NULL), 64);
		CU_ASSERT_TRUE(err[0] != '\0' && out[0] == '\0');
	}
	unlink(path);
	CU_ASSERT_EQUAL(run(false, "list --keys @", NULL), 74);
	CU_ASSERT_EQUAL(run(false, "revoke --keys @ AAAAAAAA", NULL), 74);
	CU_ASSERT_EQUAL(run(false, "create --sub a --keys /nonexistent/x", NULL), 74);
	CU_ASSERT_EQUAL(run(false, "create --keys @ --sub a", NULL), 0);
	CU_ASSERT_EQUAL(run(false, "revoke --keys @ AAAAAAAA", NULL), 1);
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0); /* no temporary file was left */
}

UNIT_MAIN("key", UNIT(a_created_key_works_until_it_is_revoked), UNIT(all_members_are_written),
          UNIT(rotation_gives_a_new_secret), UNIT(foreign_keys_are_imported_by_hash),
          UNIT(other_lines_stay_byte_for_byte), UNIT(lists_show_no_hash),
          UNIT(two_at_once_lose_nothing), UNIT(usage_and_missing_files))
