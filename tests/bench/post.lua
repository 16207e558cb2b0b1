-- SPDX-License-Identifier: Apache-2.0
-- SPDX-FileCopyrightText: 2026 The Merlon authors
-- One chat request, again and again; prints requests, failures, and latencies in microseconds.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
wrk.body = '{"model":"demo","messages":[{"role":"system","content":"You are a terse assistant for '
	.. 'operators."},{"role":"user","content":"Summarise in three sentences why an event-driven '
	.. 'gateway in front of inference servers should stream answers as they are produced, and what '
	.. 'it must record for audit."}],"temperature":0.2,"max_tokens":128}'

function done(summary, latency)
	local e = summary.errors
	io.write(string.format("BENCH %d %d %.0f %.0f\n", summary.requests,
		e.connect + e.read + e.write + e.timeout + e.status,
		latency:percentile(50), latency:percentile(99)))
end
