# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# What tests/bench/run measures a peer with: a function suite_NAME for each suite, run once a round for each peer,
# which starts and stops the peer. Figures go to the results by record. Sourced by run.
# shellcheck shell=bash disable=SC2034,SC2154

# Who takes part where nobody is named.
declare -A suite_peers=(
	[short]="nginx nginx-key haproxy merlond merlond-full"
	[chat]="direct haproxy-tcp haproxy nginx nginx-key nginx-njs merlond merlond-auth merlond-authz merlond-limit merlond-full"
	[body]="haproxy nginx nginx-njs merlond merlond-full"
	[sse]="direct haproxy nginx nginx-njs merlond merlond-full"
	[calls]="haproxy-tcp haproxy nginx nginx-key merlond merlond-full"
	[memory]="haproxy nginx merlond merlond-full"
	[growth]="haproxy nginx merlond merlond-full merlond-few merlond-large"
	[reload]="haproxy nginx merlond-full merlond-10k"
	[workers]="haproxy nginx merlond merlond-full"
	[soak]="merlond-full"
)
# What -a takes, and how often at most: figures of memory and of calls hardly differ.
all_suites="chat body sse calls memory growth reload workers"
declare -A suite_rounds=([calls]=1 [memory]=1 [reload]=3 [soak]=1)

record() { # TEST METRIC VALUE
	echo "$round $suite $peer $1 $2 $3" >>"$work/results"
}

# Sets got from the line that bench-load prints.
figures() { # LINE
	local f
	got=([failed]=1 [requests]=0)
	for f in $1; do
		got[${f%%=*}]=${f#*=}
	done
}

load() { # ARGUMENT...
	figures "$($on_load "$build/tests/bench/bench-load" -p "$to" -H "$key_field" "$@" 2>>"$work/load.log")"
}

# The failures of a peer that is reloaded are a figure, not a fault of the run.
failures() { # TEST
	[ "${got[failed]}" -eq 0 ] && [ "${got[requests]}" -gt 0 ] && return
	record "$1" failed "${got[failed]}"
	record "$1" resets "${got[resets]:-0}"
	case $suite:$peer in
	reload:nginx* | reload:haproxy*) return ;;
	esac
	failed=$((failed + ${got[failed]}))
	echo "  $peer $suite $1: FAILED: ${got[failed]} of $((${got[requests]} + ${got[failed]})):" \
		"$(for f in resets cut refused status wrong stuck; do echo "${got[$f]:-0} $f,"; done | tr '\n' ' ')"
	kill -0 "$upstream_pid" 2>/dev/null || {
		echo "run: the upstream has ended" >&2
		exit 1
	}
}

# Runs a load and records what it cost, for each request or for each chunk.
measure() { # TEST requests|chunks ARGUMENT...
	local test=$1 unit=$2 before after m
	shift 2
	before=$(cpu)
	load "$@"
	after=$(cpu)
	failures "$test"
	[ "${got[$unit]:-0}" -gt 0 ] || return 0
	record "$test" cpu "$(awk -v n="$((after - before))" -v r="${got[$unit]}" 'BEGIN { printf "%.3f", n / 1000 / r }')"
	for m in rate p50 p99 chunk_p50 chunk_p99; do
		record "$test" "$m" "${got[$m]}"
	done
	local p50=${got[p50]} p99=${got[p99]}
	[ "$unit" = requests ] || p50=${got[chunk_p50]} p99=${got[chunk_p99]}
	awk -v who="$suite $peer $test" -v n="$((after - before))" -v r="${got[$unit]}" -v s="${got[rate]}" -v a="$p50" \
		-v b="$p99" 'BEGIN {
		printf "  %-32s %9.2f us %9.0f/s   p50 %.0f p99 %.0f\n", who, n / 1000 / r, s, a, b }'
}

# Holds connections or streams open; release ends that.
hold() { # COUNT ARGUMENT...
	local n=$1 line=''
	shift
	coproc HOLD { exec $on_load "$build/tests/bench/bench-load" -p "$to" -H "$key_field" -c "$n" -i "$@" 2>>"$work/load.log"; }
	hold_pid=$!
	exec {hold_in}>&"${HOLD[1]}" {hold_out}<&"${HOLD[0]}"
	eval "exec ${HOLD[1]}>&-"
	read -r -t 60 -u "$hold_out" line || :
	[ "$line" = ready ] || {
		failed=$((failed + 1))
		echo "  $peer $suite: FAILED: not all of $n connections could be held"
	}
}

release() {
	local line=''
	exec {hold_in}>&-
	read -r -u "$hold_out" line || :
	exec {hold_out}<&-
	wait "$hold_pid" || :
	hold_pid=''
	figures "$line"
}

# ---- suites ----

suite_short() {
	peer_start
	load -c 32 -d 0.5 -b "$work/chat"
	measure c8 requests -c 8 -d 1 -b "$work/chat" -e 600
	measure c32 requests -c 32 -d "${seconds:-1.5}" -b "$work/chat" -e 600
	if [ "$round" -eq 1 ] && may_trace; then
		count_calls 32 8000
	fi
	peer_stop
}

suite_chat() {
	peer_start
	load -c 32 -d 0.5 -b "$work/chat"
	measure c32 requests -c 32 -d "${seconds:-2}" -b "$work/chat" -e 600
	measure c8 requests -c 8 -d "${seconds:-2}" -b "$work/chat" -e 600
	on_load=$on_load_first measure c1 requests -c 1 -d "${seconds:-2}" -b "$work/chat" -e 600
	peer_stop
}

suite_body() {
	local n
	peer_start
	for n in 1024 32768 1048576; do
		measure "b$n" requests -P /echo -c 8 -d "${seconds:-1.5}" -b "$work/body-$n" -e "$n"
	done
	peer_stop
	# what the library alone takes for both bodies, beside the peer that pays for it
	[ "$peer" != merlond-full ] || command -v openssl >/dev/null || return 0
	[ "$peer" = merlond-full ] || return 0
	for n in 32768 1048576; do
		$on_peer openssl speed -mr -seconds 1 -bytes "$n" sha256 2>/dev/null |
			awk -F: -v n="$n" '/^\+F/ { printf "%.3f\n", 2 * n / $NF * 1e6 }' | while read -r us; do
			peer=sha256 record "b$n" cpu "$us"
		done
	done
}

suite_sse() {
	haproxy_more='option http-no-delay' peer_start
	measure burst chunks -H 'X-Bench-Stream: 64 0' -s -e 64 -c 16 -d "${seconds:-2}" -b "$work/stream"
	on_load=$on_load_first measure paced chunks -H 'X-Bench-Stream: 64 5' -s -e 64 -c 50 -d "${seconds:-2.5}" -b "$work/stream"
	peer_stop
}

# What so many of a thing cost a peer that is new.
held() { # TEST COUNT ARGUMENT...
	local test=$1 n=$2 base after
	shift 2
	peer_start
	base=$(pss)
	hold "$n" "$@"
	sleep 1
	after=$(pss)
	release
	peer_stop
	record "$test" pss "$after"
	record "$test" each "$(((after - base) * 1024 / n))"
	echo "  memory $peer $test: $n cost $((after - base)) KiB"
}

suite_memory() {
	local many=10000
	case $peer in haproxy*) many=$((nofile / 2 - 500)) ;; esac
	[ "$many" -le 10000 ] || many=10000
	peer_start
	record idle pss "$(pss)"
	peer_stop
	held idle1000 1000 -b "$work/chat"
	if [ "$many" -lt $((nofile - 200)) ]; then
		held idle10000 "$many" -b "$work/chat"
	fi
	held streams1000 1000 -s -H 'X-Bench-Stream: 1000 1000' -b "$work/stream"
}

# Cost at many connections, and with many keys, models and rules: one key's requests, and those of all in turn.
suite_growth() {
	peer_start
	load -c 32 -d 0.5 -b "$work/chat"
	measure c32 requests -c 32 -d "${seconds:-2}" -b "$work/chat" -e 600
	case $peer in
	merlond-few | merlond-large)
		key_field='X-Bench: rotating' load -c 32 -d 0.5 -b "$work/chat" -K "$work/fields-$keys"
		key_field='X-Bench: rotating' measure turns requests -c 32 -d "${seconds:-2}" -b "$work/chat" -e 600 \
			-K "$work/fields-$keys"
		;;
	*)
		load -c 1000 -d 0.5 -b "$work/chat"
		measure c1000 requests -c 1000 -d "${seconds:-2}" -b "$work/chat" -e 600
		;;
	esac
	peer_stop
}

# merlond tells of each generation; reloads that come while one is being built are one.
reloads_count() {
	local n=0
	until [ "$(grep -c 'generation .* serves' "$work/log")" -gt 0 ] || [ $((n += 1)) -gt 100 ]; do
		sleep 0.1
	done
	n=$(grep -c 'generation .* serves' "$work/log" || :)
	record reloading generations "$n"
	[ "$n" -gt 0 ] || {
		echo "  reload $peer: FAILED: no reload took effect"
		failed=$((failed + 1))
	}
}

# At full load, 10 seconds without and 10 with a reload each half second; two workers on all processors.
suite_reload() {
	local n=0 f
	free_placement
	workers=2 peer_start
	: >"$work/log"
	measure calm requests -c 32 -d 10 -b "$work/chat" -e 600
	$on_load "$build/tests/bench/bench-load" -p "$to" -H "$key_field" -c 32 -d 10.5 -b "$work/chat" -e 600 >"$work/line" &
	load_pid=$!
	while [ $((n += 1)) -le 20 ]; do
		sleep 0.5
		peer_reload
	done
	wait "$load_pid" || :
	load_pid=''
	figures "$(cat "$work/line")"
	failures reloading
	for f in rate p50 p99 max; do
		record reloading "$f" "${got[$f]}"
	done
	for f in resets cut refused status; do
		record reloading "$f" "${got[$f]}"
	done
	case $peer in merlond*) reloads_count ;; esac
	echo "  reload $peer: p99 ${got[p99]} us, ${got[resets]} resets, ${got[failed]} failures in all"
	peer_stop
	pinned_placement
}

suite_workers() {
	two_placement
	for workers in 1 2; do
		peer_start
		load -c 64 -d 0.5 -b "$work/chat"
		measure "w$workers" requests -c 64 -d "${seconds:-3}" -b "$work/chat" -e 600
		peer_stop
	done
	workers=1
	pinned_placement
}

# What strace counts of the peer, once it has attached to all of its threads.
count_calls() { # CONNECTIONS REQUESTS
	local c=$1 n=$2 p args=() tracer
	load -c "$c" -n 500 -b "$work/chat"
	for p in $(tree "$peer_pid"); do
		args+=(-p "$p")
	done
	: >"$work/attached"
	strace -c -f -o "$work/strace" "${args[@]}" 2>"$work/attached" &
	tracer=$!
	until [ "$(grep -c attached "$work/attached")" -ge $((${#args[@]} / 2)) ]; do
		sleep 0.05
	done
	load -c "$c" -n "$n" -b "$work/chat" -e 600
	kill -INT "$tracer" 2>/dev/null || :
	wait "$tracer" 2>/dev/null || :
	failures "calls$c"
	record "c$c" calls "$(awk -v n="$n" '$NF == "total" { printf "%.2f", $4 / n }' "$work/strace")"
	echo "  calls $peer c$c: $(awk -v n="$n" '$4 / n >= 0.02 && $NF ~ /^[a-z0-9_]+$/ && $NF != "total" {
		printf "%s %.2f  ", $NF, $4 / n }' "$work/strace")"
}

may_trace() {
	command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null && return
	echo "  system calls are not counted: strace is missing or forbidden"
	return 1
}

suite_calls() {
	may_trace || return 0
	peer_start
	count_calls 32 8000
	count_calls 1 1500
	peer_stop
}

# Ten minutes of requests and streams, some broken off, with reloads: does memory stay?
suite_soak() {
	local minute=0 end n
	free_placement
	peer_start
	$on_load "$build/tests/bench/bench-load" -p "$to" -H "$key_field" -c 32 -d $((soak_minutes * 60)) -x 50 \
		-b "$work/chat" -e 600 >"$work/line" &
	load_pid=$!
	$on_load "$build/tests/bench/bench-load" -p "$to" -H "$key_field" -H 'X-Bench-Stream: 64 5' -s -e 64 -c 50 -x 7 \
		-d $((soak_minutes * 60)) -b "$work/stream" >"$work/line2" &
	stream_pid=$!
	while [ $((minute += 1)) -le "$soak_minutes" ]; do
		for n in 1 2 3 4; do
			sleep 14
			peer_reload
		done
		n=$(pss)
		record "minute$minute" pss "$n"
		echo "  soak $peer: minute $minute, PSS $n KiB"
	done
	wait "$load_pid" "$stream_pid" || :
	load_pid='' stream_pid=''
	for end in line line2; do
		figures "$(cat "$work/$end")"
		failures "$end"
	done
	peer_stop
	pinned_placement
}
