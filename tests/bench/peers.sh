# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 The Merlon authors
# What tests/bench/run measures: each peer's configuration, and how one is started, reloaded, looked at and stopped.
# Sourced by it; work, build, here, up, port, on_peer and on_load come from there.
# shellcheck shell=bash disable=SC2034,SC2154

njs_module=/usr/lib/nginx/modules/ngx_http_js_module.so
peer_pid='' upstream_pid='' workers=1 haproxy_more=''

# ---- material ----

# Keys are made of their number. perl is there, since autoconf needs it.
keys_make() { # COUNT
	[ ! -e "$work/keys-$1.jsonl" ] || return 0
	# shellcheck disable=SC2016
	perl -MDigest::SHA=sha256_hex -e 'for my $i (0 .. $ARGV[0] - 1) {
		printf qq({"id":"%08d","hashes":["sha256:%s"],"sub":"client-%d","org":"bench"}\n), $i,
			sha256_hex(sprintf("bench-key-%032d", $i)), $i }' "$1" >"$work/keys-$1.jsonl"
	awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "Authorization: Bearer bench-key-%032d\n", i }' \
		>"$work/fields-$1"
}

# The last of the assignments, and a role with a pattern of models, let the request pass.
rules_make() { # COUNT
	awk -v n="$1" 'BEGIN {
		if (n == 1) {
			print "assignments = ( { org = \"bench\"; roles = [ \"analyst\" ]; } );"
			exit
		}
		print "roles = ("
		for (i = 1; i <= n; i++)
			printf "  { name = \"role-%d\"; permissions = [ \"predict\" ]; models = [ \"%s\" ]; }%s\n", i,
				i == n ? "dem*" : "model-" i "-*", i < n ? "," : ""
		print ");\nassignments = ("
		for (i = 1; i <= n; i++)
			printf "  { org = \"%s\"; roles = [ \"role-%d\" ]; }%s\n", i == n ? "bench" : "org-" i, i,
				i < n ? "," : ""
		print ");"
	}' >"$work/rules-$1.conf"
}

models_make() { # COUNT
	awk -v n="$1" 'BEGIN {
		if (n == 0)
			exit
		print "models = ("
		for (i = 1; i <= n; i++)
			printf "  { id = \"%s\"; attributes = { tier = \"t%d\"; }; }%s\n",
				i == int(n / 2) ? "demo" : "model-" i, i % 7, i < n ? "," : ""
		print ");"
	}' >"$work/models-$1.conf"
}

# Sets keys, models and rules: how many of each a peer has.
sizes() { # PEER
	keys=1000 models=0 rules=1
	case $1 in
	merlond-few) keys=10 models=10 rules=10 ;;
	merlond-10k) keys=10000 models=1000 rules=100 ;;
	merlond-large) keys=100000 models=10000 rules=1000 ;;
	esac
	keys_make "$keys"
	key_field="Authorization: Bearer bench-key-$(printf '%032d' $((keys / 2)))"
}

# ---- configurations ----

merlond_stack() { # PEER
	local none='auth = "none"; authz = "none"; audit = ( );'
	local auth="auth = ( { module = \"auth_apikey\"; control = \"requisite\"; options = { keys_file = \"keys-$keys.jsonl\"; }; } );"
	local authz="authz = ( { module = \"authz_rbac\"; control = \"requisite\"; options = { policy_file = \"rules-$rules.conf\"; }; } );"
	local limit='ratelimit = ( { module = "ratelimit_local"; control = "requisite"; options = { default = { requests = "60000000/1m"; }; }; } );'
	local audit="audit = ( { module = \"audit_file\"; control = \"required\"; options = { path = \"$work/audit.log\"; commit_interval = \"10ms\"; }; } );"
	case $1 in
	merlond) echo "$none" ;;
	merlond-auth) echo "$auth authz = \"none\"; audit = ( );" ;;
	merlond-authz) echo "$auth $authz audit = ( );" ;;
	merlond-limit) echo "$auth $authz $limit audit = ( );" ;;
	*) echo "$auth $authz $limit $audit" ;;
	esac
}

merlond_conf() { # PEER
	rules_make "$rules"
	models_make "$models"
	cat <<-END
		workers = $workers;
		module_dir = "$work/modules";
		listeners = ( { name = "main"; address = "127.0.0.1:$port"; } );
		admin = { socket = "$work/merlon.sock"; };
		limits = { connections = 19000; idle_timeout = "300s"; drain_timeout = "1s"; };
		upstreams = ( { name = "model"; servers = ( "127.0.0.1:$up" ); keep_alive = "300s"; } );
		@include "models-$models.conf"
		routes = ( { path = "/v1/"; api = "openai"; stack = "default"; upstream = "model"; },
		  { path = "/echo"; api = "rest"; stack = "default"; upstream = "model";
		    rules = ( { path = "/echo"; action = "predict"; model = "demo"; } ); } );
		stacks = ( { name = "default"; $(merlond_stack "$1") } );
	END
}

nginx_conf() { # PEER
	local fields='' hashes='' load='' user='' map='' rule='access_log off;' filter=''
	[ "$(id -u)" -ne 0 ] || user='user root;'
	if [ "$1" = nginx-njs ]; then
		load='load_module '"$njs_module;"
		hashes="js_path $here; js_import audit.js; js_var \$output_hash; js_set \$input_hash audit.input;"
		fields=',"isha":"$input_hash","osha":"$output_hash"'
		filter='js_body_filter audit.output buffer_type=buffer;'
	fi
	if [ "$1" != nginx ]; then
		sed 's/^Authorization: \(.*\)/"\1" &;/; s/ Authorization: Bearer bench-key-0*\([0-9]\)/ client-\1/' \
			"$work/fields-$keys" >"$work/keys.map"
		map="map_hash_max_size 65536; map_hash_bucket_size 256;
			map \$http_authorization \$client { default ''; include $work/keys.map; }
			limit_req_zone \$client zone=k:10m rate=1000000r/s; $hashes
			log_format j escape=json '{\"t\":\"\$msec\",\"id\":\"\$request_id\",\"client\":\"\$client\",\"ip\":\"\$remote_addr\",\"m\":\"\$request_method\",\"u\":\"\$uri\",\"st\":\$status,\"in\":\$request_length,\"out\":\$bytes_sent,\"rt\":\$request_time$fields}';"
		rule="access_log $work/access.log j; if (\$client = '') { return 401; }
			limit_req zone=k burst=100000 nodelay;"
	fi
	cat <<-END
		daemon off; worker_processes $workers; pid $work/nginx.pid; error_log $work/error.log error;
		worker_rlimit_nofile $nofile; $user $load
		events { worker_connections 19000; }
		http {
		  client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
		  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
		  keepalive_timeout 300s; keepalive_requests 100000000; tcp_nodelay on;
		  client_max_body_size 16m; client_body_buffer_size 2m; proxy_max_temp_file_size 0;
		  $map
		  upstream up { server 127.0.0.1:$up; keepalive 2048; keepalive_requests 100000000; keepalive_timeout 300s; }
		  server { listen 127.0.0.1:$port backlog=4096; $rule
		    location / { $filter proxy_pass http://up; proxy_http_version 1.1; proxy_read_timeout 300s;
		      proxy_set_header Connection ''; proxy_set_header Host \$host; } }
		}
	END
}

haproxy_conf() { # PEER
	local mode=http
	[ "$1" != haproxy-tcp ] || mode=tcp
	cat <<-END
		global
		  nbthread $workers
		  maxconn $((nofile / 2 - 200))
		  stats socket $work/haproxy.sock mode 600 level admin expose-fd listeners
		defaults
		  mode $mode
		  maxconn $((nofile / 2 - 200))
		  timeout connect 5s
		  timeout client 300s
		  timeout server 300s
		  $([ "$mode" = tcp ] || printf 'http-reuse always\n  %s' "$haproxy_more")
		frontend f
		  bind 127.0.0.1:$port backlog 4096
		  default_backend b
		backend b
		  server s 127.0.0.1:$up
	END
}

# ---- processes ----

need() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null || {
		echo "run: $1 is missing (package $2)" >&2
		exit 1
	}
}

# What a peer cannot be run without.
peer_needs() { # PEER
	case $1 in
	direct | merlond | merlond-auth | merlond-authz | merlond-limit | merlond-full | merlond-few | merlond-10k | merlond-large) ;;
	nginx | nginx-key) need nginx nginx ;;
	nginx-njs)
		need nginx nginx
		[ -e "$njs_module" ] || need ngx_http_js_module.so libnginx-mod-http-js
		;;
	haproxy | haproxy-tcp) need haproxy haproxy ;;
	*) usage ;;
	esac
}

# A process and all that came from it.
tree() { # PID
	local p
	[ -n "$1" ] || return 0
	echo "$1"
	for p in $(pgrep -P "$1"); do
		tree "$p"
	done
}

stop() { # PID
	local n=0 all p
	[ -n "$1" ] || return 0
	all=$(tree "$1")
	kill "$1" 2>/dev/null || :
	while kill -0 "$1" 2>/dev/null && [ $((n += 1)) -lt 60 ]; do
		sleep 0.05
	done
	for p in $all; do
		kill -9 "$p" 2>/dev/null || :
	done
	wait "$1" 2>/dev/null || :
}

peer_command() { # PEER: sets command, and writes the configuration
	case $1 in
	merlond*)
		merlond_conf "$1" >"$work/conf"
		command=("$build/merlond" -c "$work/conf" -f)
		;;
	nginx*)
		nginx_conf "$1" >"$work/conf"
		command=(nginx -c "$work/conf")
		;;
	haproxy*)
		haproxy_conf "$1" >"$work/conf"
		command=(haproxy -W -db -f "$work/conf")
		;;
	esac
}

# Waits for an answer. A port that another program has taken for a connection of its own is soon free again.
peer_start() {
	local n=0 again=0
	to=$port
	sizes "$peer"
	if [ "$peer" = direct ]; then
		to=$up
		return
	fi
	peer_command "$peer"
	: >"$work/log"
	peer_run
	until load -n 1 -b "$work/chat" && [ "${got[failed]}" -eq 0 ]; do
		if ! kill -0 "$peer_pid" 2>/dev/null && [ $((again += 1)) -lt 5 ]; then
			sleep 1
			peer_run
		fi
		if [ $((n += 1)) -ge 200 ] || [ "$again" -ge 5 ]; then
			echo "run: $peer gives no answer:" >&2
			tail -n 5 "$work/log" >&2
			[ ! -s "$work/error.log" ] || tail -n 5 "$work/error.log" >&2
			exit 1
		fi
		sleep 0.05
	done
}

peer_run() {
	$on_peer "${command[@]}" >>"$work/log" 2>&1 &
	peer_pid=$!
}

peer_stop() {
	stop "$peer_pid"
	peer_pid=''
	rm -f "$work/audit.log" "$work/access.log"
}

peer_reload() {
	case $peer in
	haproxy*) kill -USR2 "$peer_pid" ;;
	*) kill -HUP "$peer_pid" ;;
	esac
}

upstream_start() {
	local n=0
	while [ $((n += 1)) -le 20 ]; do
		$on_upstream "$build/tests/bench/bench-upstream" "$up" 2>"$work/upstream.log" &
		upstream_pid=$!
		sleep 0.1
		! kill -0 "$upstream_pid" 2>/dev/null || return 0
	done
	cat "$work/upstream.log" >&2
	exit 1
}

# Nanoseconds that the peer's threads have run, and their softirqs with them.
cpu() {
	local p
	for p in $(tree "$peer_pid"); do
		cat /proc/"$p"/task/*/schedstat 2>/dev/null || :
	done | awk '{ s += $1 } END { printf "%.0f\n", s }'
}

# KiB of memory that the peer alone has, and its share of what it shares.
pss() {
	local p
	for p in $(tree "$peer_pid"); do
		cat /proc/"$p"/smaps_rollup 2>/dev/null || :
	done | awk '/^Pss:/ { s += $2 } END { print s + 0 }'
}
