# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# The table of tests/bench/run, from lines "peer us requests failed p50 p99" and "peer calls".

function sorted(a, n,    i, j, t) {
	for (i = 2; i <= n; i++) {
		t = a[i]
		for (j = i - 1; j > 0 && a[j] > t; j--)
			a[j + 1] = a[j]
		a[j + 1] = t
	}
}

# "median [least-most]" of n values in v[key, 1..n]
function spread(v, key, n, form,    a, i, m) {
	for (i = 1; i <= n; i++)
		a[i] = v[key, i] + 0
	sorted(a, n)
	m = n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	return sprintf(form " [" form "-" form "]", m, a[1], a[n])
}

function ratio(peer, to,    v, i, n) {
	if (peer == to || !(to in rounds))
		return "-"
	n = rounds[peer] < rounds[to] ? rounds[peer] : rounds[to]
	for (i = 1; i <= n; i++)
		v["r", i] = us[peer, i] / us[to, i]
	return spread(v, "r", n, "%.2f")
}

NF == 2 { calls[$1] = sprintf("%.2f", $2); next }
{
	if (!($1 in rounds))
		order[++peers] = $1
	i = ++rounds[$1]
	us[$1, i] = $2
	p50[$1, i] = $5
	failed[$1] += $4
}

END {
	printf "\n| peer | CPU-us a request | of nginx | of nginx-key | of haproxy | p50 us | calls a request | failed |\n"
	printf "|---|---|---|---|---|---|---|---|\n"
	for (k = 1; k <= peers; k++) {
		p = order[k]
		printf "| %s | %s | %s | %s | %s | %s | %s | %d |\n", p,
			spread(us, p, rounds[p], "%.1f"), ratio(p, "nginx"), ratio(p, "nginx-key"),
			ratio(p, "haproxy"), spread(p50, p, rounds[p], "%.0f"),
			p in calls ? calls[p] : "-", failed[p]
		bad += failed[p]
	}
	exit bad > 0
}
