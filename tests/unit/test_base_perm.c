/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Files others could write to are refused (promise P12). Ownership by another user can only be
 * tried as root.
 */
#include "base/perm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#include "unit.h"

static char dir[] = "/tmp/merlon-perm-XXXXXX";
static char file[64];
static char alias[64];

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CU_ASSERT_FATAL(fchmod(fd, mode) == 0);
	close(fd);
}

static int reads(const char *path, size_t max, const char *want)
{
	struct buf b;
	int r;

	buf_init(&b, 1 << 20);
	r = perm_read_file(path, max, &b);
	if (want)
		CU_ASSERT(str_eq(buf_str(&b), str_of(want)));
	if (r)
		CU_ASSERT(b.n == 0);
	buf_deinit(&b);
	return r;
}

static void a_private_file_is_read_whole(void)
{
	struct buf b;

	put(file, "hello", 0600);
	CU_ASSERT(reads(file, 100, "hello") == 0);
	CU_ASSERT(reads(file, 5, "hello") == 0);
	put(file, "", 0644);
	CU_ASSERT(reads(file, 0, "") == 0);
	put(file, "more", 0444);
	buf_init(&b, 9);
	CU_ASSERT(buf_add(&b, "some-", 5) == 0);
	CU_ASSERT(perm_read_file(file, 4, &b) == 0);
	CU_ASSERT(str_eq(buf_str(&b), STR("some-more")));
	buf_deinit(&b);
	unlink(file);
}

static void a_file_over_its_limit_is_refused(void)
{
	struct buf b;

	put(file, "hello", 0600);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_SIZE);
	buf_init(&b, 3);
	CU_ASSERT(perm_read_file(file, 100, &b) == PERM_E_SIZE);
	CU_ASSERT(b.n == 0);
	buf_deinit(&b);
}

static void a_missing_file_is_an_errno(void)
{
	unlink(file);
	CU_ASSERT(reads(file, 4, NULL) == -ENOENT);
}

static void only_regular_files_count(void)
{
	char fifo[64];

	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	CU_ASSERT_FATAL(mkfifo(fifo, 0600) == 0);
	CU_ASSERT(reads(fifo, 4, NULL) == PERM_E_TYPE); /* and does not wait for a writer */
	unlink(fifo);
	CU_ASSERT(reads(dir, 4, NULL) == PERM_E_TYPE);
	CU_ASSERT(reads("/dev/null", 4, NULL) == PERM_E_TYPE);
}

static void others_may_not_write(void)
{
	put(file, "x", 0602);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_MODE);
	put(file, "x", 0666);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_MODE);
	put(file, "x", 0604);
	CU_ASSERT(reads(file, 4, "x") == 0);
}

/* What the rule says of this user and a group, told from the databases by another way than the
 * code's. */
static bool own(gid_t gid)
{
	struct passwd *pw = getpwuid(geteuid());
	struct group *gr = getgrgid(gid);

	if (!pw || !gr || pw->pw_gid != gid)
		return false;
	for (char **m = gr->gr_mem; *m; m++)
		if (strcmp(*m, pw->pw_name) != 0)
			return false;
	return true;
}

static void the_group_may_write_where_it_is_the_user_s_own(void)
{
	put(file, "x", 0660);
	CU_ASSERT(reads(file, 4, NULL) == (own(getegid()) ? 0 : PERM_E_MODE));
	if (geteuid() != 0)
		return;
	/* Some group that is not root's primary one. */
	CU_ASSERT_FATAL(chown(file, 0, 12) == 0 && chmod(file, 0660) == 0);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_MODE);
	CU_ASSERT_FATAL(chmod(file, 0640) == 0);
	CU_ASSERT(reads(file, 4, "x") == 0);
	CU_ASSERT_FATAL(chown(file, 0, 54321) == 0 && chmod(file, 0660) == 0);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_MODE);
	unlink(file);
}

static void another_owner_is_refused(void)
{
	if (geteuid() != 0)
		return;
	put(file, "x", 0644);
	CU_ASSERT_FATAL(chown(file, 54321, 54321) == 0);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_OWNER);
	CU_ASSERT_FATAL(chown(file, 0, 0) == 0 && chown(dir, 54321, 0) == 0);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_FOLDER);
	CU_ASSERT_FATAL(chown(dir, 0, 0) == 0);
	CU_ASSERT(reads(file, 4, "x") == 0);
}

static void the_folder_counts_too(void)
{
	put(file, "x", 0600);
	CU_ASSERT_FATAL(chmod(dir, 0777) == 0);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_FOLDER);
	CU_ASSERT_FATAL(chmod(dir, 0702) == 0);
	CU_ASSERT(reads(file, 4, NULL) == PERM_E_FOLDER);
	CU_ASSERT_FATAL(chmod(dir, 01777) == 0); /* sticky, and the file is ours */
	CU_ASSERT(reads(file, 4, "x") == 0);
	CU_ASSERT_FATAL(chmod(dir, 0755) == 0);
	CU_ASSERT(reads(file, 4, "x") == 0);
}

static void the_folder_behind_a_link_counts_too(void)
{
	char open_dir[64], real[80];

	snprintf(open_dir, sizeof(open_dir), "%s/open", dir);
	snprintf(real, sizeof(real), "%s/file", open_dir);
	CU_ASSERT_FATAL(mkdir(open_dir, 0700) == 0);
	put(real, "x", 0600);
	CU_ASSERT_FATAL(symlink(real, alias) == 0);
	CU_ASSERT(reads(alias, 4, "x") == 0);
	CU_ASSERT_FATAL(chmod(open_dir, 0777) == 0);
	CU_ASSERT(reads(alias, 4, NULL) == PERM_E_FOLDER);
	unlink(alias);
	unlink(real);
	rmdir(open_dir);
}

static void names_without_a_folder_mean_the_current_one(void)
{
	char before[4096];

	CU_ASSERT_FATAL(getcwd(before, sizeof(before)) != NULL && chdir(dir) == 0);
	put("file", "x", 0600);
	CU_ASSERT(reads("file", 4, "x") == 0);
	CU_ASSERT_FATAL(chmod(dir, 0777) == 0);
	CU_ASSERT(reads("file", 4, NULL) == PERM_E_FOLDER);
	CU_ASSERT_FATAL(chmod(dir, 0700) == 0 && chdir(before) == 0);
}

static void each_answer_has_its_words(void)
{
	CU_ASSERT_STRING_EQUAL(perm_strerror(PERM_E_MODE), "is writable by others");
	CU_ASSERT_STRING_EQUAL(perm_strerror(-ENOENT), strerror(ENOENT));
	for (int a = PERM_E_TYPE; a <= PERM_E_SIZE; a++)
		for (int b = a + 1; b <= PERM_E_SIZE; b++)
			CU_ASSERT_STRING_NOT_EQUAL(perm_strerror(a), perm_strerror(b));
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(a_private_file_is_read_whole),
	    UNIT(a_file_over_its_limit_is_refused),
	    UNIT(a_missing_file_is_an_errno),
	    UNIT(only_regular_files_count),
	    UNIT(others_may_not_write),
	    UNIT(the_group_may_write_where_it_is_the_user_s_own),
	    UNIT(another_owner_is_refused),
	    UNIT(the_folder_counts_too),
	    UNIT(the_folder_behind_a_link_counts_too),
	    UNIT(names_without_a_folder_mean_the_current_one),
	    UNIT(each_answer_has_its_words),
	};
	int r;

	umask(022);
	if (!mkdtemp(dir))
		return 77;
	snprintf(file, sizeof(file), "%s/file", dir);
	snprintf(alias, sizeof(alias), "%s/alias", dir);
	r = unit_run("perm", tests, sizeof(tests) / sizeof(tests[0]));
	unlink(file);
	rmdir(dir);
	return r;
}
