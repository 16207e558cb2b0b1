// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Other people's HTTP parsers as model servers: each says, request by request, what it understood.
import fs from 'node:fs';
import http from 'node:http';
import { spawn } from 'node:child_process';
import { freePort, until, HOST } from './lib.mjs';

// Every server answers each request alike, after its body; requests() gives what it has counted so far as
// {id, method, target, bytes, whole}, id being the X-Request-Id it was sent with.

export async function nodeServer(s, options = {}) {
	const seen = [];
	const server = http.createServer({ keepAliveTimeout: 60_000, ...options }, (req, res) => {
		const one = { id: req.headers['x-request-id'], method: req.method, target: req.url, bytes: 0, whole: false };
		seen.push(one);
		req.on('data', (d) => { one.bytes += d.length; });
		req.on('error', () => {});
		req.on('end', () => {
			one.whole = true;
			res.end('{}');
		});
	});
	let bad = 0;
	server.on('clientError', (e, socket) => {
		bad += e.code.startsWith('HPE_') && e.code !== 'HPE_INVALID_EOF_STATE';
		socket.destroy();
	});
	for (const event of ['upgrade', 'connect'])
		server.on(event, (req, socket) => {
			bad++;
			socket.destroy();
		});
	await new Promise((resolve) => server.listen(0, HOST, resolve));
	s.onEnd(() => new Promise((resolve) => {
		server.closeAllConnections();
		server.close(resolve);
	}));
	s.upstream = server.address().port;
	return { requests: () => seen, bad: () => bad };
}

// The same parser told to let pass what it can: bare LF, spaces before colons, both lengths.
export const lenientServer = (s) => nodeServer(s, { insecureHTTPParser: true });

async function child(s, command, args, ready, logFile) {
	const log = logFile ? fs.openSync(logFile, 'w') : 'ignore';
	const p = spawn(command, args, { stdio: ['ignore', log, 'pipe'] });
	let err = '';
	let over = false;
	p.stderr.on('data', (d) => { err += d; });
	const ended = new Promise((resolve) => p.on('close', () => resolve(over = true)));
	const kill = () => p.kill('SIGKILL');
	process.on('exit', kill);
	s.onEnd(async () => {
		p.kill('SIGTERM');
		await ended;
		process.off('exit', kill);
		if (logFile)
			fs.closeSync(log);
	});
	await until(async () => {
		if (over)
			throw new Error(`${command} did not start: ${err}`);
		return ready();
	}, command);
}

const answers = (port) => fetch(`http://${HOST}:${port}/ready`).then((r) => r.arrayBuffer()).then(() => true, () => false);

// One line a request: id, status, method, target, bytes; fields divided by a byte that no request can hold.
function logged(file) {
	const text = fs.existsSync(file) ? fs.readFileSync(file, 'latin1') : '';
	return text.split('\n').slice(0, -1).map((line) => {
		const [id, status, method, target, bytes] = line.split('\x01');
		return { id, status: Number(status), method, target, bytes: Number(bytes), whole: Number(status) === 200 };
	}).filter((r) => r.target !== '/ready');
}

export async function nginxServer(s) {
	const port = await freePort();
	const log = s.file('nginx.log');
	const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
		.map((n) => `${n}_temp_path ${s.file(`nginx-${n}`)};`).join(' ');
	// The body is read in full by what comes behind, a location that passes the request on to itself.
	s.write('nginx.conf', `daemon off; master_process off; pid ${s.file('nginx.pid')}; error_log stderr crit;
worker_rlimit_nofile 4096; events { worker_connections 2000; }
http { ${temp}
	log_format seen escape=none '$http_x_request_id\x01$status\x01$request_method\x01$request_uri\x01$upstream_http_x_bytes';
	client_max_body_size 0; keepalive_requests 1000000; keepalive_timeout 60s; merge_slashes off; underscores_in_headers on;
	large_client_header_buffers 8 64k; access_log off;
	server { listen unix:${s.file('nginx.sock')}; location / { add_header X-Bytes $content_length; return 200 '{}'; } }
	server { listen ${HOST}:${port}; location / { access_log ${log} seen;
		proxy_pass http://unix:${s.file('nginx.sock')}:/; proxy_http_version 1.1; proxy_method POST;
		proxy_set_header Host x; proxy_set_header X-Request-Id ''; proxy_pass_request_headers off; } } }
`);
	await child(s, 'nginx', ['-p', s.dir, '-c', s.file('nginx.conf'), '-e', 'stderr'], () => answers(port));
	s.upstream = port;
	return { requests: () => logged(log), bad: () => 0 };
}

// HAProxy answers before a body is whole, so it is asked what it makes of the bytes: what node gets from it.
export async function haproxyServer(s) {
	const { requests } = await nodeServer(s);
	const behind = s.upstream;
	const port = await freePort();
	const log = s.file('haproxy.log');
	s.write('haproxy.cfg', `global
	maxconn 2000
	log stdout len 65535 format raw local0
	tune.bufsize 131072
defaults
	mode http
	timeout client 60s
	timeout server 60s
	timeout connect 5s
	timeout http-keep-alive 60s
frontend in
	bind ${HOST}:${port}
	log global
	log-format "%ts %ST"
	default_backend out
backend out
	server node ${HOST}:${behind}
`);
	await child(s, 'haproxy', ['-db', '-f', s.file('haproxy.cfg')], () => answers(port), log);
	s.upstream = port;
	// PR: the proxy itself refused the request.
	const refused = () => fs.readFileSync(log, 'latin1').split('\n').filter((l) => l.startsWith('PR ')).length;
	return { requests: () => requests().filter((r) => r.target !== '/ready'), bad: refused };
}
