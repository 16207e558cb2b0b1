# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# The tables of tests/bench/run, from lines "round suite peer test metric value". Several files are rounds of one run.

function column(suite, test, metric, form, title) {
	cols[suite, ++ncols[suite]] = test SUBSEP metric SUBSEP form SUBSEP title
}

function goal(text, over, under, limit,    n) {
	n = ++ngoals
	goal_text[n] = text
	goal_over[n] = over
	goal_under[n] = under
	goal_limit[n] = limit
}

BEGIN {
	nsuites = split("short chat body sse calls memory growth reload workers soak", suites, " ")
	references = split("nginx nginx-key nginx-njs haproxy haproxy-tcp better", reference, " ")
	column("short", "c32", "cpu", "%.1f", "CPU-us, 32 connections")
	column("short", "c8", "cpu", "%.1f", "CPU-us, 8")
	column("short", "c32", "rate", "%.0f", "requests/s, 32")
	column("short", "c8", "p50", "%.0f", "p50 us, 8")
	column("short", "c8", "p99", "%.0f", "p99 us, 8")
	column("short", "c32", "calls", "%.2f", "system calls")
	ratios["short"] = "c32 c8"
	column("chat", "c32", "cpu", "%.1f", "CPU-us, 32 connections")
	column("chat", "c8", "cpu", "%.1f", "CPU-us, 8")
	column("chat", "c1", "cpu", "%.1f", "CPU-us, 1")
	column("chat", "c32", "rate", "%.0f", "requests/s, 32")
	column("chat", "c8", "p50", "%.0f", "p50 us, 8")
	column("chat", "c8", "p99", "%.0f", "p99 us, 8")
	column("chat", "c1", "p50", "%.0f", "p50 us, 1")
	column("chat", "c1", "p99", "%.0f", "p99 us, 1")
	ratios["chat"] = "c32 c8"
	column("body", "b1024", "cpu", "%.1f", "CPU-us, 1 KiB")
	column("body", "b32768", "cpu", "%.1f", "CPU-us, 32 KiB")
	column("body", "b1048576", "cpu", "%.0f", "CPU-us, 1 MiB")
	column("body", "b1048576", "rate", "%.0f", "requests/s, 1 MiB")
	ratios["body"] = "b1024 b32768 b1048576"
	column("sse", "burst", "cpu", "%.2f", "CPU-us a chunk, 64 at once")
	column("sse", "paced", "cpu", "%.1f", "CPU-us a chunk, 5 ms apart")
	column("sse", "paced", "chunk_p50", "%.0f", "p50 delay us")
	column("sse", "paced", "chunk_p99", "%.0f", "p99 delay us")
	ratios["sse"] = "burst paced"
	column("calls", "c32", "calls", "%.2f", "system calls a request, 32 connections")
	column("calls", "c1", "calls", "%.2f", "1 connection")
	column("memory", "idle", "pss", "%.0f", "idle PSS KiB")
	column("memory", "idle1000", "pss", "%.0f", "1,000 idle connections: PSS KiB")
	column("memory", "idle1000", "each", "%.0f", "bytes each")
	column("memory", "idle10000", "pss", "%.0f", "10,000 idle connections: PSS KiB")
	column("memory", "idle10000", "each", "%.0f", "bytes each")
	column("memory", "streams1000", "pss", "%.0f", "1,000 streams: PSS KiB")
	column("memory", "streams1000", "each", "%.0f", "bytes each")
	column("growth", "c32", "cpu", "%.1f", "CPU-us, 32 connections")
	column("growth", "c1000", "cpu", "%.1f", "CPU-us, 1,000")
	column("growth", "turns", "cpu", "%.1f", "CPU-us, each key in turn")
	column("reload", "calm", "p99", "%.0f", "p99 us without reloads")
	column("reload", "reloading", "p99", "%.0f", "p99 us, 20 reloads")
	column("reload", "reloading", "max", "%.0f", "longest us")
	column("reload", "calm", "rate", "%.0f", "requests/s without")
	column("reload", "reloading", "rate", "%.0f", "requests/s with")
	column("reload", "reloading", "resets", "%d", "resets")
	column("reload", "reloading", "generations", "%d", "reloads that took effect")
	column("workers", "w1", "rate", "%.0f", "requests/s, 1 worker")
	column("workers", "w2", "rate", "%.0f", "requests/s, 2")
	column("workers", "w1", "cpu", "%.1f", "CPU-us, 1 worker")
	column("workers", "w2", "cpu", "%.1f", "CPU-us, 2")
	for (i = 1; i <= 10; i++)
		column("soak", "minute" i, "pss", "%.0f", "PSS KiB, minute " i)

	split("chat short chat short", in_suite, " ")
	split("32 32 8 8", at, " ")
	for (i = 1; i <= 4; i++) {
		c = in_suite[i]
		n = " c" at[i] " cpu"
		goal("plain to nginx, " at[i] " connections", c " merlond" n, c " nginx" n, 0.9)
		goal("plain to HAProxy, " at[i], c " merlond" n, c " haproxy" n, 0.9)
		goal("full to nginx-key, " at[i], c " merlond-full" n, c " nginx-key" n, 0.9)
		goal("full to nginx-njs, " at[i], c " merlond-full" n, c " nginx-njs" n, 0.65)
	}
	goal("plain to the better, 32 KiB", "body merlond b32768 cpu", "body better b32768 cpu", 1)
	goal("plain to the better, 1 MiB", "body merlond b1048576 cpu", "body better b1048576 cpu", 1)
	goal("full less plain to SHA-256, 1 MiB", "body merlond-full b1048576 cpu - body merlond b1048576 cpu",
		"body sha256 b1048576 cpu", 1)
	goal("CPU a chunk to nginx, at once", "sse merlond burst cpu", "sse nginx burst cpu", 1)
	goal("CPU a chunk to nginx, paced", "sse merlond paced cpu", "sse nginx paced cpu", 1)
	goal("p99 of a chunk to nginx", "sse merlond paced chunk_p99", "sse nginx paced chunk_p99", 1)
	goal("p50 at one connection to nginx", "chat merlond c1 p50", "chat nginx c1 p50", 1)
	goal("bytes of an idle connection", "memory merlond-full idle10000 each", "", 2048)
	goal("bytes of a stream", "memory merlond-full streams1000 each", "", 8192)
	goal("KiB of the idle process", "memory merlond-full idle pss", "", 10240)
	goal("system calls a request, full", "calls merlond-full c32 calls", "", 4.5)
	goal("1,000 connections to 32, plain", "growth merlond c1000 cpu", "growth merlond c32 cpu", 1.3)
	goal("1,000 connections to 32, full", "growth merlond-full c1000 cpu", "growth merlond-full c32 cpu", 1.3)
	goal("many keys, models, rules to few", "growth merlond-large c32 cpu", "growth merlond-few c32 cpu", 1.05)
	goal("resets by reloads", "reload merlond-full reloading resets", "", 0)
	goal("p99 us moved by reloads, 10,000 keys", "reload merlond-10k reloading p99 - reload merlond-10k calm p99", "", 5000)
	goal("CPU of two workers to one", "workers merlond-full w2 cpu", "workers merlond-full w1 cpu", 1.1)
}

# The nth round of a suite in all files, however often its number comes.
FNR == 1 {
	for (k in top)
		base[k] = top[k]
}
{
	r = base[$2] + $1
	if (r > top[$2])
		top[$2] = r
	if ($5 == "failed")
		failures[$2, $3] += $6
	if (!(($2, $3) in known) && $3 != "sha256") {
		known[$2, $3] = 1
		peer[$2, ++npeers[$2]] = $3
	}
	value[r, $2, $3, $4, $5] = $6
}

# One round's figure "suite peer test metric", or of one less another; "" where there is none.
function figure(r, what,    p, a, b, n) {
	n = split(what, p, " ")
	if (n > 4) {
		a = figure(r, p[1] " " p[2] " " p[3] " " p[4])
		b = figure(r, p[6] " " p[7] " " p[8] " " p[9])
		return a == "" || b == "" ? "" : a - b
	}
	if (p[2] == "better") {
		a = figure(r, p[1] " nginx " p[3] " " p[4])
		b = figure(r, p[1] " haproxy " p[3] " " p[4])
		return a == "" || b == "" ? "" : (a < b ? a : b)
	}
	return ((r, p[1], p[2], p[3], p[4]) in value) ? value[r, p[1], p[2], p[3], p[4]] + 0 : ""
}

# Sets got_median and the spread of a figure, or of its ratio to another in the same round; answers how many rounds.
function spread(suite, over, under,    r, a, b, i, n, v, t) {
	n = 0
	for (r = 1; r <= top[suite]; r++) {
		a = figure(r, over)
		b = under == "" ? 1 : figure(r, under)
		if (a == "" || b == "" || b == 0)
			continue
		t = a / b
		for (i = ++n; i > 1 && v[i - 1] > t; i--)
			v[i] = v[i - 1]
		v[i] = t
	}
	if (n == 0)
		return 0
	got_median = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	got_least = v[1]
	got_most = v[n]
	return n
}

function cell(suite, over, under, form,    n) {
	n = spread(suite, over, under)
	if (n == 0)
		return "-"
	if (n == 1)
		return sprintf(form, got_median)
	return sprintf(form " [" form "-" form "]", got_median, got_least, got_most)
}

function line(text, n,    i) {
	printf "%s\n|---|", text
	for (i = 1; i <= n; i++)
		printf "---|"
	printf "\n"
}

function table(s,    c, k, p, text, part, row) {
	printf "\n**%s**\n\n", s
	text = "| peer |"
	for (c = 1; c <= ncols[s]; c++) {
		split(cols[s, c], part, SUBSEP)
		text = text " " part[4] " |"
	}
	line(text " failed |", ncols[s] + 1)
	for (k = 1; k <= npeers[s]; k++) {
		p = peer[s, k]
		row = "| " p " |"
		for (c = 1; c <= ncols[s]; c++) {
			split(cols[s, c], part, SUBSEP)
			row = row " " cell(s, s " " p " " part[1] " " part[2], "", part[3]) " |"
		}
		printf "%s %d |\n", row, failures[s, p]
	}
}

# CPU time of each peer to that of the references in the same round.
function ratio_table(s, test,    k, i, p, here, n, text) {
	n = 0
	for (i = 1; i <= references; i++)
		if ((s, reference[i]) in known || reference[i] == "better" && (s, "nginx") in known && (s, "haproxy") in known)
			here[++n] = reference[i]
	if (n == 0)
		return
	text = "| " test ": CPU of |"
	for (i = 1; i <= n; i++)
		text = text " " (here[i] == "better" ? "better of nginx and haproxy" : here[i]) " |"
	printf "\n"
	line(text, n)
	for (k = 1; k <= npeers[s]; k++) {
		p = peer[s, k]
		if (p == "direct")
			continue
		printf "| %s |", p
		for (i = 1; i <= n; i++)
			printf " %s |", here[i] == p ? "-" : cell(s, s " " p " " test " cpu", s " " here[i] " " test " cpu", "%.2f")
		printf "\n"
	}
}

function goals(    i, part, shown, form) {
	for (i = 1; i <= ngoals; i++) {
		split(goal_over[i], part, " ")
		if (!spread(part[1], goal_over[i], goal_under[i]))
			continue
		if (!shown++) {
			printf "\n"
			line("| goal | at most | median | least | most | met |", 5)
		}
		form = goal_limit[i] > 100 || goal_limit[i] == 0 ? "%.0f" : "%.2f"
		printf "| %s | %s | " form " | " form " | " form " | %s |\n", goal_text[i], goal_limit[i], got_median,
			got_least, got_most, got_median <= goal_limit[i] ? "yes" : "no"
	}
}

END {
	for (i = 1; i <= nsuites; i++) {
		s = suites[i]
		if (!npeers[s])
			continue
		table(s)
		n = split(ratios[s], tests, " ")
		for (j = 1; j <= n; j++)
			ratio_table(s, tests[j])
	}
	goals()
}
