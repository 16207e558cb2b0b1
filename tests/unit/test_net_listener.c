/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Addresses and prefixes as text; taken addresses, stale unix sockets; accepting, resting and
 * draining.
 */
#include "net_pump.h"

#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- text ---- */
static void addresses_are_literals_with_a_port(void)
{
	static const struct {
		const char *text;
		int family; /* 0: refused */
		const char *host;
		int port;
	} row[] = {
	    {"127.0.0.1:8080", AF_INET, "127.0.0.1", 8080},
	    {"0.0.0.0:0", AF_INET, "0.0.0.0", 0},
	    {"255.255.255.255:65535", AF_INET, "255.255.255.255", 65535},
	    {"[::1]:80", AF_INET6, "::1", 80},
	    {"[2001:db8::7]:443", AF_INET6, "2001:db8::7", 443},
	    {"[::ffff:10.0.0.1]:80", AF_INET6, "10.0.0.1", 80},
	    {"*:80", AF_INET6, "::", 80},
	    {"unix:/run/a.sock", AF_UNIX, "unix", 0},
	    {"", 0, "", 0},
	    {":80", 0, "", 0},
	    {"80", 0, "", 0},
	    {"127.0.0.1", 0, "", 0},
	    {"127.0.0.1:", 0, "", 0},
	    {"127.0.0.1:65536", 0, "", 0},
	    {"127.0.0.1:-1", 0, "", 0},
	    {"127.0.0.1:+1", 0, "", 0},
	    {"127.0.0.1: 1", 0, "", 0},
	    {"127.0.0.1:000080", 0, "", 0},
	    {"127.0.0.1:80x", 0, "", 0},
	    {"127.0.0:80", 0, "", 0},
	    {"127.0.0.256:80", 0, "", 0},
	    {"::1:80", 0, "", 0},
	    {"[127.0.0.1]:80", 0, "", 0},
	    {"[]:80", 0, "", 0},
	    {"[::1:80", 0, "", 0},
	    {"[fe80::1%lo]:80", 0, "", 0},
	    {"localhost:80", 0, "", 0},
	    {"unix:", 0, "", 0},
	};
	struct net_addr a;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		bool ok = net_addr_parse(str_of(row[i].text), &a);
		char text[64];

		if (ok != (row[i].family != 0))
			printf("%s: %d\n", row[i].text, ok);
		CU_ASSERT_EQUAL(ok, row[i].family != 0);
		if (!ok)
			continue;
		CU_ASSERT_EQUAL(a.ss.ss_family, row[i].family);
		net_addr_text((struct sockaddr *)&a.ss, text);
		CU_ASSERT_STRING_EQUAL(text, row[i].host);
		if (row[i].family == AF_INET)
			CU_ASSERT_EQUAL(ntohs(((struct sockaddr_in *)&a.ss)->sin_port),
			                row[i].port);
		if (row[i].family == AF_INET6)
			CU_ASSERT_EQUAL(ntohs(((struct sockaddr_in6 *)&a.ss)->sin6_port),
			                row[i].port);
	}
	CU_ASSERT_FALSE(net_addr_parse((struct str){"127.0.0.1\0:80", 13}, &a));
	CU_ASSERT_FALSE(net_addr_parse((struct str){"unix:/a\0b", 9}, &a));
}

static void a_unix_path_must_fit(void)
{
	char path[5 + 108 + 1] = "unix:";
	struct net_addr a;

	memset(path + 5, 'x', 108);
	CU_ASSERT_FALSE(net_addr_parse((struct str){path, 5 + 108}, &a));
	CU_ASSERT_TRUE(net_addr_parse((struct str){path, 5 + 107}, &a));
	CU_ASSERT_EQUAL(strlen(((struct sockaddr_un *)&a.ss)->sun_path), 107);
}

static void prefixes_have_no_bits_beyond_their_length(void)
{
	static const struct {
		const char *text;
		int family; /* 0: refused */
		int bits;
	} row[] = {
	    {"10.0.0.0/8", 4, 8},
	    {"10.1.2.3", 4, 32},
	    {"0.0.0.0/0", 4, 0},
	    {"10.0.0.128/25", 4, 25},
	    {"::1", 6, 128},
	    {"::/0", 6, 0},
	    {"2001:db8::/32", 6, 32},
	    {"::ffff:10.0.0.0/104", 4, 8},
	    {"::ffff:10.1.2.3", 4, 32},
	    {"10.0.0.1/8", 0, 0},
	    {"10.0.0.128/24", 0, 0},
	    {"0.0.0.1/0", 0, 0},
	    {"10.0.0.0/33", 0, 0},
	    {"10.0.0.0/", 0, 0},
	    {"10.0.0.0/-1", 0, 0},
	    {"10.0.0.0/8/8", 0, 0},
	    {"10.0.0.0/0008", 0, 0},
	    {"10.0.0/8", 0, 0},
	    {"2001:db8::1/32", 0, 0},
	    {"::/129", 0, 0},
	    {"[::1]", 0, 0},
	    {"", 0, 0},
	    {"/8", 0, 0},
	    {"localhost", 0, 0},
	};
	struct net_prefix p;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		bool ok = net_prefix_parse(str_of(row[i].text), &p);

		if (ok != (row[i].family != 0))
			printf("%s: %d\n", row[i].text, ok);
		CU_ASSERT_EQUAL(ok, row[i].family != 0);
		if (!ok)
			continue;
		CU_ASSERT_EQUAL(p.family, row[i].family);
		CU_ASSERT_EQUAL(p.bits, row[i].bits);
	}
}

static void prefixes_match_their_own(void)
{
	static const struct {
		const char *prefix;
		const char *addr;
		bool match;
	} row[] = {
	    {"10.0.0.0/8", "10.255.1.2:1", true},
	    {"10.0.0.0/8", "11.0.0.0:1", false},
	    {"10.0.0.128/25", "10.0.0.129:1", true},
	    {"10.0.0.128/25", "10.0.0.127:1", false},
	    {"10.1.2.3", "10.1.2.3:1", true},
	    {"10.1.2.3", "10.1.2.2:1", false},
	    {"0.0.0.0/0", "1.2.3.4:1", true},
	    {"0.0.0.0/0", "[::1]:1", false},
	    {"10.0.0.0/8", "[::ffff:10.2.3.4]:1", true},
	    {"10.0.0.0/8", "[::ffff:11.2.3.4]:1", false},
	    {"::ffff:10.0.0.0/104", "10.2.3.4:1", true},
	    {"::/0", "[2001:db8::1]:1", true},
	    {"::/0", "10.2.3.4:1", false},
	    {"::/0", "[::ffff:10.2.3.4]:1", false},
	    {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
	    {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
	    {"::1", "[::1]:1", true},
	    {"::1", "[::2]:1", false},
	    {"0.0.0.0/0", "unix:/x", false},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct net_prefix p;
		struct net_addr a;

		CU_ASSERT_TRUE_FATAL(net_prefix_parse(str_of(row[i].prefix), &p));
		CU_ASSERT_TRUE_FATAL(net_addr_parse(str_of(row[i].addr), &a));
		CU_ASSERT_EQUAL(net_prefix_match(&p, (struct sockaddr *)&a.ss), row[i].match);
	}
}

/* ---- binding ---- */
static struct net_addr addr_of(const char *text)
{
	struct net_addr a;

	CU_ASSERT_TRUE_FATAL(net_addr_parse(str_of(text), &a));
	return a;
}

static void a_taken_address_is_refused(void)
{
	struct net_addr a = addr_of("127.0.0.1:0");
	int fd[3];
	int other[2];

	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 3, 8, fd), 0);
	CU_ASSERT(listener_port(fd[0]) > 0);
	CU_ASSERT_EQUAL(listener_port(fd[0]), listener_port(fd[1]));
	CU_ASSERT_EQUAL(listener_port(fd[0]), listener_port(fd[2]));
	((struct sockaddr_in *)&a.ss)->sin_port = htons((uint16_t)listener_port(fd[0]));
	CU_ASSERT_EQUAL(listener_bind(&a, 2, 8, other), -EADDRINUSE);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 2, 8, other), 0);
	close(other[0]);
	close(other[1]);
}

static int connect_to(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, sa, len), 0);
	return fd;
}

static int connect_port(int port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect_to((struct sockaddr *)&in, sizeof(in));
}

static void a_star_takes_ipv4(void)
{
	struct net_addr a = addr_of("*:0");
	int fd;

	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, &fd), 0);
	close(connect_port(listener_port(fd)));
	close(fd);
}

static void unix_sockets_replace_only_stale_ones(void)
{
	char dir[] = "/tmp/merlon-test-XXXXXX";
	char text[64];
	struct net_addr a;
	struct stat st;
	int fd[2];
	int other[1];
	const char *path;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(text, sizeof(text), "unix:%s/s", dir);
	path = text + 5;
	a = addr_of(text);
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 2, 8, fd), 0);
	CU_ASSERT_EQUAL(fd[0], fd[1]);
	CU_ASSERT_EQUAL(listener_port(fd[0]), 0);
	CU_ASSERT_EQUAL(listener_bind(&a, 1, 8, other), -EADDRINUSE);
	close(connect_to((struct sockaddr *)&a.ss, a.len));
	close(fd[0]);
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, other), 0);
	close(other[0]);
	unlink(path);
	/* A file that is no socket is somebody's. */
	other[0] = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(other[0]);
	CU_ASSERT_EQUAL(listener_bind(&a, 1, 8, other), -EADDRINUSE);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_TRUE(S_ISREG(st.st_mode));
	unlink(path);
	rmdir(dir);
}

/* ---- accepting ---- */
static struct listener *ln;
static unsigned accepted;
static bool came;
static bool pause_after_one;
static bool stop_after_one;

static void take(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	char text[64];

	(void)arg;
	(void)len;
	CU_ASSERT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	net_addr_text(peer, text);
	CU_ASSERT_STRING_EQUAL(text, "127.0.0.1");
	close(fd);
	accepted++;
	came = true;
	if (pause_after_one)
		listener_pause(ln, true);
	if (stop_after_one)
		listener_stop(ln, false);
	loop_stop(loop);
}

static int begin(void)
{
	struct net_addr a = addr_of("127.0.0.1:0");
	int fd;

	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, &fd), 0);
	loop = loop_new();
	accepted = 0;
	came = pause_after_one = stop_after_one = false;
	ln = listener_start(loop, fd, take, NULL);
	return fd;
}

static void end(int fd)
{
	loop_free(loop);
	close(fd);
}

/* connect() returns before the listener has what ends the handshake. */
static void until_queued(int fd, unsigned n)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	alarm(60); /* what does not come would be waited for */
	do {
		CU_ASSERT_EQUAL_FATAL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len), 0);
	} while (i.tcpi_unacked < n);
	alarm(0);
}

static void connections_are_handed_on(void)
{
	int fd = begin();
	int c[3];

	for (int i = 0; i < 3; i++)
		c[i] = connect_port(listener_port(fd));
	while (accepted < 3) {
		came = false;
		until(&came);
	}
	for (int i = 0; i < 3; i++)
		close(c[i]);
	listener_stop(ln, false);
	listener_stop(NULL, true);
	end(fd);
}

static void a_paused_listener_leaves_them_queued(void)
{
	int fd = begin();
	int c[3];

	pause_after_one = true;
	for (int i = 0; i < 3; i++)
		c[i] = connect_port(listener_port(fd));
	until(&came);
	turn();
	CU_ASSERT_EQUAL(accepted, 1);
	pause_after_one = false;
	listener_pause(ln, false);
	while (accepted < 3) {
		came = false;
		until(&came);
	}
	for (int i = 0; i < 3; i++)
		close(c[i]);
	listener_stop(ln, false);
	end(fd);
}

static void stopping_drains_the_queue(void)
{
	int fd = begin();
	int c[3];

	listener_pause(ln, true);
	for (int i = 0; i < 3; i++)
		c[i] = connect_port(listener_port(fd));
	until_queued(fd, 3);
	turn();
	CU_ASSERT_EQUAL(accepted, 0);
	listener_stop(ln, true);
	CU_ASSERT_EQUAL(accepted, 3);
	for (int i = 0; i < 3; i++)
		close(c[i]);
	end(fd);
}

static void a_listener_may_stop_itself(void)
{
	int fd = begin();
	int c[2];

	stop_after_one = true;
	for (int i = 0; i < 2; i++)
		c[i] = connect_port(listener_port(fd));
	until(&came);
	turn();
	CU_ASSERT_EQUAL(accepted, 1);
	for (int i = 0; i < 2; i++)
		close(c[i]);
	end(fd);
}

static void out_of_descriptors_it_rests_and_goes_on(void)
{
	int fd = begin();
	int c = connect_port(listener_port(fd));
	int next = dup(c);
	struct rlimit before;
	struct rlimit tight;

	close(next);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &tight), 0);
	until_queued(fd, 1);
	clock_freeze(clock_mono(), clock_real_us());
	turn();
	CU_ASSERT_EQUAL(accepted, 0);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	turn();
	CU_ASSERT_EQUAL(accepted, 0); /* it does not spin */
	clock_unfreeze();
	until(&came);
	CU_ASSERT_EQUAL(accepted, 1);
	close(c);
	listener_stop(ln, false);
	end(fd);
}

UNIT_MAIN("net_listener", UNIT(addresses_are_literals_with_a_port), UNIT(a_unix_path_must_fit),
          UNIT(prefixes_have_no_bits_beyond_their_length), UNIT(prefixes_match_their_own),
          UNIT(a_taken_address_is_refused), UNIT(a_star_takes_ipv4),
          UNIT(unix_sockets_replace_only_stale_ones), UNIT(connections_are_handed_on),
          UNIT(a_paused_listener_leaves_them_queued), UNIT(stopping_drains_the_queue),
          UNIT(a_listener_may_stop_itself), UNIT(out_of_descriptors_it_rests_and_goes_on))
