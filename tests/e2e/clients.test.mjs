// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Clients that people use: curl, node's fetch (undici) and http, python3's http.client and urllib, wrk. Each
// of them succeeds, streams, is told errors as it understands them, moves 16 MiB both ways and gives up.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { deferred, line, run, until, HOST, Site } from './lib.mjs';

const MIB16 = 16 * 1024 * 1024;
const sha = (b) => createHash('sha256').update(b).digest('hex');
const big = Buffer.alloc(MIB16, 'merlon ');
const sse = (type, o) => `event: ${type}\ndata: ${JSON.stringify({ type, ...o })}\n\n`;

// A model server of the test's own. Streams go on when the test says so, and tell when they were left.
function modelServer() {
	const m = { requests: 0, streams: [] };
	m.server = http.createServer((req, res) => {
		m.requests++;
		const parts = [];
		req.on('data', (d) => parts.push(d));
		req.on('error', () => {});
		req.on('end', () => {
			const body = Buffer.concat(parts);
			if (req.url === '/up') {
				res.setHeader('content-type', 'application/json');
				res.end(JSON.stringify({ bytes: body.length, sha: sha(body) }));
			} else if (req.url === '/down') {
				res.end(big);
			} else if (req.url === '/chunked') {
				for (let i = 0; i < MIB16; i += 1 << 16)
					res.write(big.subarray(i, i + (1 << 16)));
				res.end();
			} else if (req.url === '/busy') {
				res.writeHead(529, { 'retry-after': '7', 'x-should-retry': 'true' });
				res.end('{}');
			} else if (req.url.startsWith('/v1/') || req.url.startsWith('/sse')) {
				stream(res);
			} else {
				res.end('{"ok":true}');
			}
		});
	});
	function stream(res) {
		const left = deferred();
		const one = { left: left.promise, sent: 0, gone: false,
			write: (text) => { one.sent += Buffer.byteLength(text); res.write(text); }, end: () => res.end() };
		res.on('close', () => {
			one.gone = true;
			left.resolve();
		});
		res.writeHead(200, { 'content-type': 'text/event-stream' });
		m.streams.push(one);
		one.write(sse('message_start', { message: { usage: { input_tokens: 7, output_tokens: 1 } } }));
	}
	return m;
}

let s;
let m;
before(async () => {
	s = new Site();
	m = modelServer();
	await new Promise((resolve) => m.server.listen(0, HOST, resolve));
	s.onEnd(() => new Promise((resolve) => {
		m.server.closeAllConnections();
		m.server.close(resolve);
	}));
	s.upstream = m.server.address().port;
	await s.usualKeys();
	await s.key('lim', '--role', 'analyst', '--tier', 'low');
	await s.gateway({
		limits: 'body = "32M"; memory = "256M"; idle_timeout = "1h";',
		ratelimit: line('ratelimit_local', 'requisite', 'tiers = ( { tier = "low"; requests = "2/1h"; } );'),
		routes: ', { path = "/v1/messages"; api = "anthropic"; stack = "default"; upstream = "llm"; }',
		rules: '{ path = "*"; action = "predict"; model = "m"; }',
		upstream: 'idle_timeout = "1h"; first_byte_timeout = "1h";',
	});
});
after(() => s?.end());

const recordOf = (id) => s.record(id);
const url = (p) => `${s.base}${p}`;
const auth = (who) => `Authorization: Bearer ${s.keys[who]}`;

// What every client is asked to do; each adapter answers {status, headers, body}.
const PYTHON = `
import http.client, sys, json, hashlib
host, port, method, path, key, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6])
c = http.client.HTTPConnection(host, port)
h = {"Authorization": "Bearer " + key}
body = (b"merlon " * (size // 7 + 1))[:size] if size else None
if len(sys.argv) > 7:
    c.request(method, path, body=iter([body[i:i + 70000] for i in range(0, size, 70000)]), headers=h, encode_chunked=True)
else:
    c.request(method, path, body=body, headers=h)
r = c.getresponse()
data = r.read()
print(json.dumps({"status": r.status, "headers": {k.lower(): v for k, v in r.getheaders()}, "sha": hashlib.sha256(data).hexdigest(), "bytes": len(data), "text": data[:4096].decode("latin1")}))
`;
const URLLIB = `
import urllib.request, urllib.error, sys, json, hashlib
host, port, method, path, key, size = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6])
body = (b"merlon " * (size // 7 + 1))[:size] if size else None
q = urllib.request.Request("http://%s:%d%s" % (host, port, path), data=body, method=method, headers={"Authorization": "Bearer " + key})
try:
    r = urllib.request.urlopen(q)
except urllib.error.HTTPError as e:
    r = e
data = r.read()
print(json.dumps({"status": r.status, "headers": {k.lower(): v for k, v in r.headers.items()}, "sha": hashlib.sha256(data).hexdigest(), "bytes": len(data), "text": data[:4096].decode("latin1")}))
`;
const python = (script) => async ({ method, path, key, size = 0, chunked = false }) => {
	const r = await run('python3', ['-c', script, HOST, String(s.port), method, path, key, String(size), ...(chunked ? ['c'] : [])]);
	assert.equal(r.code, 0, r.stderr);
	return JSON.parse(r.stdout);
};
const CLIENTS = {
	curl: async ({ method, path, key, size = 0, chunked = false }) => {
		const input = big.subarray(0, size);
		const args = ['-sS', '-X', method, '-H', `Authorization: Bearer ${key}`, '-D', s.file('head'), '-o', s.file('body'),
			...(size ? ['--data-binary', '@-', '-H', 'Content-Type: application/octet-stream'] : []),
			...(chunked ? ['-H', 'Transfer-Encoding: chunked'] : []), url(path)];
		const r = await run('curl', args, { input });
		assert.equal(r.code, 0, r.stderr);
		const { readFileSync } = await import('node:fs');
		const heads = readFileSync(s.file('head'), 'latin1').trim().split('\r\n\r\n');
		const [first, ...rest] = heads.at(-1).split('\r\n');
		const body = readFileSync(s.file('body'));
		return { status: Number(first.split(' ')[1]), sha: sha(body), bytes: body.length, text: body.subarray(0, 4096).toString('latin1'),
			headers: Object.fromEntries(rest.map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 2)])) };
	},
	fetch: async ({ method, path, key, size = 0, chunked = false }) => {
		const body = big.subarray(0, size);
		const r = await fetch(url(path), { method, headers: { authorization: `Bearer ${key}` },
			...(size ? { body: chunked ? new Blob([body]).stream() : body, duplex: 'half' } : {}) });
		const data = Buffer.from(await r.arrayBuffer());
		return { status: r.status, headers: Object.fromEntries(r.headers), sha: sha(data), bytes: data.length,
			text: data.subarray(0, 4096).toString('latin1') };
	},
	'http.client': python(PYTHON),
	urllib: python(URLLIB),
};

for (const [name, ask] of Object.entries(CLIENTS)) {
	describe(name, () => {
		const key = (who) => s.keys[who];
		test('success', async () => {
			const r = await ask({ method: 'GET', path: '/ok', key: key('alice') });
			assert.equal(r.status, 200);
			assert.equal(r.text, '{"ok":true}');
			assert.equal((await recordOf(r.headers['x-request-id'])).status, 'success');
		});
		test('16 MiB up, with a length and in chunks', async () => {
			for (const chunked of name === 'urllib' ? [false] : [false, true]) {
				const r = await ask({ method: 'POST', path: '/up', key: key('alice'), size: MIB16, chunked });
				assert.equal(r.status, 200, r.text);
				assert.deepEqual(JSON.parse(r.text), { bytes: MIB16, sha: sha(big) });
				const record = await recordOf(r.headers['x-request-id']);
				assert.equal(record.input_bytes, MIB16);
				assert.equal(record.input_hash, `sha256:${sha(big)}`);
			}
		});
		test('16 MiB down, with a length and in chunks', async () => {
			for (const path of ['/down', '/chunked']) {
				const r = await ask({ method: 'GET', path, key: key('alice') });
				assert.equal(r.status, 200);
				assert.equal(r.bytes, MIB16);
				assert.equal(r.sha, sha(big));
				const record = await recordOf(r.headers['x-request-id']);
				assert.equal(record.output_bytes, MIB16);
				assert.equal(record.output_hash, `sha256:${sha(big)}`);
			}
		});
		test('too large a body: the client sees the answer, not a reset', async () => {
			const r = await s.reload({ limits: 'body = "1M"; idle_timeout = "1h";' });
			assert.equal(r.code, 0, r.stderr);
			const answer = await ask({ method: 'POST', path: '/up', key: key('alice'), size: 2 * 1024 * 1024 }).catch((e) => e);
			// A client that does not look before all is sent may meet the end of the connection instead.
			if (!(answer instanceof Error))
				assert.equal(answer.status, 413);
			await until(() => s.records().some((x) => x.http_status === 413), 'the record');
			const back = await s.reload({ limits: 'body = "32M"; memory = "256M"; idle_timeout = "1h";' });
			assert.equal(back.code, 0, back.stderr);
		});
		test('401, 403 and 404 as problems, with what tells the reason', async () => {
			const unknown = await ask({ method: 'GET', path: '/ok', key: 'nobody' });
			assert.equal(unknown.status, 401);
			assert.ok(unknown.headers['www-authenticate']);
			assert.equal(unknown.headers['x-should-retry'], 'false');
			const denied = await ask({ method: 'GET', path: '/ok', key: key('bob') });
			assert.equal(denied.status, 403);
			assert.equal(JSON.parse(denied.text).status, 403);
			assert.equal((await recordOf(denied.headers['x-request-id'])).status, 'denied');
			const nowhere = await ask({ method: 'GET', path: '/v1/nonsense', key: key('alice') });
			assert.equal(nowhere.status, 404);
		});
		test('429 with Retry-After, and what the model server says of retries passes', async () => {
			const limited = await (async () => {
				for (;;) {
					const r = await ask({ method: 'GET', path: '/ok', key: key('lim') });
					if (r.status === 429)
						return r;
				}
			})();
			assert.match(limited.headers['retry-after'], /^[1-9]\d*$/);
			assert.equal(limited.headers['x-ratelimit-remaining-requests'], '0');
			const busy = await ask({ method: 'GET', path: '/busy', key: key('alice') });
			assert.equal(busy.status, 529);
			assert.equal(busy.headers['retry-after'], '7');
			assert.equal(busy.headers['x-should-retry'], 'true');
		});
	});
}

// Starts a client that reads a stream; it gives up when it is killed or told so.
const STREAM_PYTHON = `
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]))
c.request("POST", sys.argv[3], body=sys.argv[5], headers={"Authorization": "Bearer " + sys.argv[4], "Content-Type": "application/json"})
r = c.getresponse()
while True:
    line = r.readline()
    if not line:
        break
    sys.stdout.write(line.decode())
    sys.stdout.flush()
`;
const body = JSON.stringify({ model: 'm', stream: true, max_tokens: 9, messages: [{ role: 'user', content: 'x' }] });
function process_(command, args) {
	const p = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
	const c = { text: '', over: new Promise((resolve) => p.on('close', resolve)), leave: () => p.kill('SIGKILL') };
	p.stdout.on('data', (d) => { c.text += d; });
	return c;
}
const READERS = {
	curl: (p) => process_('curl', ['-sSN', '-H', auth('alice'), '-H', 'Content-Type: application/json', '-d', body, url(p)]),
	'http.client': (p) => process_('python3', ['-c', STREAM_PYTHON, HOST, String(s.port), p, s.keys.alice, body]),
	fetch: (p) => {
		const control = new AbortController();
		const c = { text: '', leave: () => control.abort() };
		c.over = (async () => {
			const r = await fetch(url(p), { method: 'POST', body, signal: control.signal,
				headers: { authorization: `Bearer ${s.keys.alice}`, 'content-type': 'application/json' } });
			for await (const d of r.body)
				c.text += Buffer.from(d).toString();
		})().catch(() => {});
		return c;
	},
};
for (const [name, read] of Object.entries(READERS)) {
	test(`${name}: a stream comes event by event, to its end`, async () => {
		const n = m.streams.length;
		const c = read('/v1/messages');
		const one = await until(() => m.streams[n], 'the stream');
		for (let i = 0; i < 5; i++) {
			const text = sse('content_block_delta', { index: i });
			one.write(text);
			// The next one is not sent before this one has come: nothing is held back.
			await until(() => c.text.includes(`"index":${i}`), `event ${i}`);
		}
		one.write(sse('message_delta', { usage: { output_tokens: 5 } }));
		one.end();
		await c.over;
		const r = await until(() => s.records().find((x) => x.stream && x.status === 'success' && x.output_bytes === one.sent),
			'the record');
		assert.deepEqual([r.tokens_in, r.tokens_out], [7, 5]);
	});

	test(`${name}: a stream that is left ends at the model server, and is on record so far`, async () => {
		const n = m.streams.length;
		const c = read('/v1/messages');
		const one = await until(() => m.streams[n], 'the stream');
		one.write(sse('message_delta', { usage: { output_tokens: 3 } }));
		await until(() => c.text.includes('"output_tokens":3'), 'the events');
		const known = s.records().length;
		c.leave();
		// The model server says nothing more: that the client has gone is not noticed by writing to it.
		await one.left;
		await c.over;
		const r = await until(() => s.records().slice(known).find((x) => x.status === 'aborted'), 'the record');
		assert.equal(r.output_bytes, one.sent);
		assert.deepEqual([r.tokens_in, r.tokens_out], [7, 3]);
		assert.equal(r.user_id, 'alice');
	});
}

test('a stream that goes on is cancelled before the model server has said much more', async () => {
	const n = m.streams.length;
	const c = READERS.fetch('/v1/messages');
	const one = await until(() => m.streams[n], 'the stream');
	let later = 0;
	let left = false;
	const timer = setInterval(() => {
		one.write(sse('content_block_delta', { index: 1 }));
		later += left;
	}, 100);
	await until(() => c.text.includes('"index":1'), 'an event');
	left = true;
	c.leave();
	await one.left;
	clearInterval(timer);
	assert.ok(later <= 50, `${later} events were sent after the client had gone`);
});

test('wrk: every answer is 200, and each is on record', async () => {
	const before = s.records().length;
	const { requests } = m;
	const r = await run('wrk', ['-t', '2', '-c', '16', '-d', '2s', '--timeout', '60s', '-H', auth('alice'), url('/ok')]);
	assert.equal(r.code, 0, r.stderr);
	assert.doesNotMatch(r.stdout, /Non-2xx|Socket errors/, r.stdout);
	const answered = Number(/(\d+) requests in/.exec(r.stdout)[1]);
	assert.ok(answered > 50, r.stdout);
	// Those under way when wrk stopped are on record too, as aborted or done.
	let done;
	await until(() => {
		done = s.records().slice(before);
		return done.length >= m.requests - requests && done.filter((x) => x.status === 'success').length >= answered;
	}, 'the records');
	assert.ok(done.every((x) => ['success', 'aborted'].includes(x.status)));
	await s.assertChain();
});
