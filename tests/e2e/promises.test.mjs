// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The promises of the README, by their numbers. P6 stands in audit.test.mjs, P7 in reload.test.mjs.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { ctl, deferred, line, run, site, statusOf, until, HOST, MERLOND, MERLONCTL, MODULES, Site } from './lib.mjs';

// An upstream of the test's own that reads whole requests and answers each by answer(request, socket); it
// keeps all bytes that came.
async function fakeModel(s, answer) {
	const seen = { requests: [], connections: 0 };
	await s.server((socket) => {
		const id = ++seen.connections;
		let bytes = Buffer.alloc(0);
		socket.on('data', (d) => {
			bytes = Buffer.concat([bytes, d]);
			for (;;) {
				const text = bytes.toString('latin1');
				const end = text.indexOf('\r\n\r\n');
				if (end < 0)
					return;
				const head = text.slice(0, end);
				const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
				const total = end + 4 + length;
				if (bytes.length < total)
					return;
				const request = { id, head, line: head.split('\r\n')[0], body: bytes.subarray(end + 4, total) };
				bytes = bytes.subarray(total);
				seen.requests.push(request);
				answer(request, socket);
			}
		});
	});
	return seen;
}
const whole = (body, fields = '') => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${fields}` +
	`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

test('P2: a module that fails, hangs or answers nonsense denies, wherever it stands', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	const bad = [['code = "UNAVAIL";', 503], ['code = "ERROR";', 500], ['hang = true;', 503, 'timeout = "50ms";'],
		['raw = 0;', 500], ['raw = 99;', 500], ['raw = -1;', 500], ['code = "REPLY"; reply = 0;', 500],
		['code = "TIMEOUT";', 500]];
	const places = {
		auth: (l) => ({ auth: `${l('required')}, ${line('auth_apikey', 'requisite', 'keys_file = "keys.jsonl";')}` }),
		authz: (l) => ({ authz: `${l('requisite')}, ${line('authz_rbac', 'requisite')}` }),
		ratelimit: (l) => ({ ratelimit: l('required') }),
		filter: (l) => ({ filter: l('required') }),
	};
	for (const [group, place] of Object.entries(places)) {
		for (const [options, status, more] of bad) {
			const usual = { auth: undefined, authz: undefined, ratelimit: undefined, filter: undefined };
			const r = await s.reload({ ...usual, ...place((control) => line('test_helper', control, options, more)) });
			assert.equal(r.code, 0, `${group} ${options}: ${r.stderr}`);
			const { requests } = await s.seen();
			const answer = await s.chat('alice');
			assert.equal(answer.status, status, `${group} ${options}: ${answer.text}`);
			assert.equal((await s.seen()).requests, requests, 'the model was not asked');
			const record = await s.record(answer.headers['x-request-id']);
			assert.notEqual(record.status, 'success');
			const decision = record.decisions.find((d) => d.module === 'test_helper');
			assert.equal(decision.code, /hang/.test(options) ? 'TIMEOUT' : status === 503 ? 'UNAVAIL' : 'ERROR');
		}
	}
});

test('P2: a required audit line that fails refuses before the model is asked', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const audit = '{ module = "audit_file"; options = { path = "audit.log"; commit_interval = "2ms"; }; }';
	await s.gateway({ audit: `${audit}, ${line('test_helper', 'required', 'audit_open = "UNAVAIL";')}` });
	assert.equal((await s.chat('alice')).status, 503);
	assert.equal((await s.seen()).requests, 0);
	const r = await s.reload({ audit: `${audit}, ${line('test_helper', 'optional', 'audit_open = "UNAVAIL";')}` });
	assert.equal(r.code, 0, r.stderr);
	assert.equal((await s.chat('alice')).status, 200);
	await s.assertChain();
});

test('P3: one request makes at most one upstream request, with the bytes that were audited', async (t) => {
	const s = site(t);
	let fault = null;
	const seen = await fakeModel(s, (request, socket) => {
		if (fault)
			fault(socket);
		else
			socket.write(whole('{"ok":true}'));
	});
	await s.usualKeys();
	// One worker: each counts a server's faults in a row for itself, and good answers may go to another.
	await s.gateway({ workers: 1 });
	// Spelling, spaces, escapes and keys in any order are not ours to change.
	const bodies = ['{"model":"m","messages":[]}', '{ "messages" : [ ] ,\n\t"mod\\u0065l" : "\\u006d" }  \n',
		`{"x":"${'y'.repeat(300_000)}","model":"m"}`, '{"model":"m","n":1e5,"n":1.0,"z":"\\/\\ud83d\\ude00"}'];
	const sha = (x) => `sha256:${createHash('sha256').update(x).digest('hex')}`;
	for (const body of bodies) {
		const from = seen.requests.length;
		const answer = await s.raw([`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
			`Authorization: Bearer ${s.keys.alice}\r\nContent-Length: ${body.length}\r\n\r\n`, body]);
		assert.equal(statusOf(answer), 200);
		assert.equal(seen.requests.length, from + 1);
		assert.equal(seen.requests.at(-1).body.toString(), body);
		const id = /^x-request-id: (\S+)/im.exec(answer.toString())[1];
		assert.equal((await s.record(id)).input_hash, sha(body));
	}
	// Faults of every kind once bytes have been written: never a second try. A good answer comes between two
	// faults, since several in a row mark the server down.
	const faults = [(k) => k.destroy(), (k) => k.resetAndDestroy(), (k) => k.end('HTTP/1.1 200 OK\r\nContent-Le'),
		(k) => k.end('nonsense\r\n\r\n'), (k) => k.end(whole('xxxx').slice(0, -2)),
		(k) => k.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab')];
	for (const wrong of faults) {
		fault = wrong;
		const from = seen.requests.length;
		const before = s.records().length;
		const r = await s.chat('alice').catch((e) => e);
		assert.ok(r instanceof Error || r.status === 502, `${wrong}: ${r.status}`);
		assert.equal(seen.requests.length, from + 1, `${wrong}: the request was sent again`);
		assert.notEqual((await s.awaitRecords(before + 1)).at(-1).status, 'success');
		fault = null;
		const good = await s.chat('alice');
		assert.equal(good.status, 200);
		await s.record(good.headers['x-request-id']);
	}
	await s.assertChain();
});

test('P4: no client byte reaches an identity header, however it is spelled', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	const canary = 'canary5417';
	const names = ['X-Merlon-User', 'x-merlon-roles', 'X-MERLON-anything', 'Remote-User', 'REMOTE-USER', 'X-Remote-User',
		'X-Remote-Groups', 'x-remote-extra-scopes', 'X-Auth-Request-User', 'X-Auth-Request-Email', 'X-Forwarded-User',
		'X-Forwarded-Email', 'X-Forwarded-Groups', 'X-Forwarded-Client-Cert', 'X-Forwarded-For', 'X-Forwarded-Host',
		'X-Forwarded-Proto', 'Forwarded'];
	for (const name of names) {
		const r = await s.request('/v1/models', { headers: { ...s.bearer('alice'), [name]: canary } });
		assert.equal(r.status, 200, name);
		assert.ok(!(await s.seen()).head.includes(canary), `${name} arrived`);
	}
	// The form with underscores is another spelling to CGI-like servers: refused as a name.
	for (const name of ['X_Merlon_User', 'Remote_User', 'X-Forwarded_User', 'x_auth-request_user']) {
		const { requests } = await s.seen();
		const answer = await s.raw(`GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\n` +
			`${name}: ${canary}\r\n\r\n`);
		assert.equal(statusOf(answer), 400, name);
		assert.equal((await s.seen()).requests, requests);
	}
	// Neither by naming them hop-by-hop, in a trailer or a chunk extension.
	const chunked = await s.raw(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\n` +
		'Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Remote-User\r\n\r\n' +
		`1b;x=${canary}\r\n{"model":"m","messages":[]}\r\n0\r\nX-Remote-User: ${canary}\r\n\r\n`);
	assert.equal(statusOf(chunked), 200);
	const last = await s.seen();
	assert.equal(last.body, '{"model":"m","messages":[]}');
	assert.ok(!last.head.includes(canary));
	// The client's credential stays here.
	for (const headers of [s.bearer('alice'), { 'x-api-key': s.keys.alice }, { 'api-key': s.keys.alice }]) {
		assert.equal((await s.request('/v1/models', { headers })).status, 200);
		assert.ok(!(await s.seen()).head.includes(s.keys.alice));
		assert.doesNotMatch((await s.seen()).head, /^(authorization|x-api-key|api-key):/im);
	}
});

test('P5: the connection of a cancelled exchange is never used again', async (t) => {
	const s = site(t);
	const late = [];
	let hold = true;
	const seen = await fakeModel(s, (request, socket) => {
		const answer = whole(JSON.stringify({ for: request.line }));
		if (hold)
			late.push(() => socket.write(answer));
		else
			socket.write(answer);
	});
	await s.usualKeys();
	await s.gateway({ workers: 1 });
	const ids = new Set();
	for (let i = 0; i < 5; i++) {
		hold = true;
		const from = seen.requests.length;
		const client = net.connect(s.port, HOST);
		client.on('error', () => {});
		client.write(`GET /v1/models/secret-${i} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\n\r\n`);
		await until(() => seen.requests.length > from, 'the request to arrive');
		const cancelled = seen.requests.at(-1).id;
		ids.add(cancelled);
		client.destroy();
		await until(() => s.records().filter((r) => r.status === 'aborted').length === i + 1, 'the abort');
		late.shift()(); // the answer that nobody waits for
		hold = false;
		const r = await s.request(`/v1/models/open-${i}`, { headers: s.bearer('bob') });
		assert.equal(r.status, 200);
		assert.equal(r.json().for, `GET /v1/models/open-${i} HTTP/1.1`, 'the answer of another');
		assert.ok(!ids.has(seen.requests.at(-1).id), 'the connection was used again');
	}
});

test('P5: a connection that answered too much or too early is not used again', async (t) => {
	const s = site(t);
	let extra = '';
	const seen = await fakeModel(s, (request, socket) => {
		socket.write(whole(JSON.stringify({ for: request.line })) + extra);
	});
	await s.usualKeys();
	await s.gateway({ workers: 1 });
	for (const bytes of [whole('{"for":"poison"}'), 'x', '\r\n', 'HTTP/1.1 200 OK\r\n']) {
		extra = bytes;
		const first = await s.request('/v1/models/a', { headers: s.bearer('alice') });
		assert.equal(first.json().for, 'GET /v1/models/a HTTP/1.1');
		const { id } = seen.requests.at(-1);
		extra = '';
		const second = await s.request('/v1/models/b', { headers: s.bearer('bob') });
		assert.equal(second.status, 200);
		assert.equal(second.json().for, 'GET /v1/models/b HTTP/1.1');
		assert.notEqual(seen.requests.at(-1).id, id);
	}
	// And one that was clean is.
	const { id } = seen.requests.at(-1);
	await s.request('/v1/models/c', { headers: s.bearer('bob') });
	assert.equal(seen.requests.at(-1).id, id);
});

test('P8: bodies beyond limits.memory are refused with 503 and given back', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ limits: 'body = "64K"; memory = "256K"; connections = 100;' });
	// The model comes last, so the bytes have to wait here.
	const open = [];
	const part = `{"messages":"${'x'.repeat(60_000)}`;
	const refused = deferred();
	for (let i = 0; i < 8; i++) {
		const socket = net.connect(s.port, HOST);
		socket.on('error', () => {});
		socket.on('data', (d) => statusOf(d) === 503 && refused.resolve(d.toString()));
		socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\n` +
			`Content-Length: 65000\r\n\r\n${part}`);
		open.push(socket);
	}
	s.onEnd(() => open.forEach((socket) => socket.destroy()));
	assert.match(await refused.promise, /overloaded|memory|many/);
	const status = await s.status();
	assert.ok(status.parked_bytes <= 256 * 1024, `${status.parked_bytes} bytes are parked`);
	open.forEach((socket) => socket.destroy());
	await until(async () => (await s.status()).parked_bytes === 0, 'the memory to be given back');
	assert.equal((await s.chat('alice')).status, 200);
	assert.equal((await s.seen()).requests, 1);
});

test('P8: a client that does not read stops the model, not the gateway', async (t) => {
	const s = site(t);
	let sent = 0;
	const block = Buffer.alloc(65536, 'x');
	await s.server((socket) => socket.once('data', () => {
		socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
		const more = () => {
			while (!socket.destroyed) {
				sent += block.length;
				if (!socket.write(block))
					return;
			}
		};
		socket.on('drain', more);
		more();
	}));
	await s.usualKeys();
	await s.gateway({ workers: 1 });
	const client = net.connect(s.port, HOST);
	client.on('error', () => {});
	client.pause();
	client.write(`GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\n\r\n`);
	s.onEnd(() => client.destroy());
	// It has come to rest when several looks see the same count.
	let last = -1, same = 0;
	await until(() => {
		same = sent > 0 && sent === last ? same + 1 : 0;
		last = sent;
		return same > 50;
	}, 'the flow to stop');
	assert.ok(sent < 64 << 20, `${sent} bytes were taken for a client that does not read`);
	client.destroy();
	await until(() => s.records().some((r) => r.status === 'aborted'), 'the abort');
});

test('P9: no secret appears in any output', async (t) => {
	const s = site(t);
	await s.usualKeys();
	const secrets = { file: 'canary-file-8c21f0', env: 'canary-env-5d90aa', cred: 'canary-cred-77e1b3',
		body: 'canary-body-1f9e02', query: 'canary-query-3c7d11', header: 'canary-header-92ab4c', digest: 'canary-digest-a01b77' };
	s.write('upstream.key', `${secrets.file}\n`);
	s.write('digest.key', `${secrets.digest}\n`);
	s.write('llm.cred', secrets.cred);
	const seen = await fakeModel(s, (request, socket) => socket.write(whole(JSON.stringify({ got: 'it' }))));
	const env = { CANARY: secrets.env, CREDENTIALS_DIRECTORY: s.dir };
	await s.gateway({ env, top: 'log_level = "debug";',
		upstream: `headers = ( { name = "Authorization"; value = "Bearer \${file:upstream.key}"; },
			{ name = "X-Env"; value = "\${env:CANARY}"; }, { name = "X-Cred"; value = "\${cred:llm.cred}"; } );`,
		audit: '{ module = "audit_file"; options = { path = "audit.log"; commit_interval = "2ms"; digest_key = "file:digest.key"; }; }' });
	const all = [];
	const ask = async (name, headers = {}) => {
		const r = await s.request(`/v1/chat/completions?k=${secrets.query}`, { method: 'POST', body:
			`{"model":"m","user":"${secrets.body}"}`, headers: { ...(name ? s.bearer(name) : {}), 'x-note': secrets.header, ...headers } });
		all.push(JSON.stringify(r.headers), r.text);
		return r.status;
	};
	assert.equal(await ask('alice'), 200);
	for (const value of [secrets.file, secrets.env, secrets.cred])
		assert.ok(seen.requests[0].head.includes(value), 'the model server got its credential');
	assert.equal(await ask('bob'), 403);
	assert.equal(await ask(null), 401);
	assert.equal(await ask(null, { authorization: `Bearer ${s.keys.alice.slice(0, -1)}!` }), 401);
	assert.equal(await ask('alice', { 'x-api-key': secrets.header }), 400);
	all.push((await s.raw(`GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\nbad name: ${secrets.header}\r\n\r\n`)).toString());
	await s.awaitRecords(6);
	const commands = [['status'], ['stacks'], ['modules'], ['reload'], ['key', 'list', '--keys', s.file('keys.jsonl')]];
	for (const args of commands) {
		for (const json of [[], ['--json']]) {
			const r = await s.ctl(...args, ...json);
			assert.equal(r.code, 0, r.stderr);
			all.push(r.stdout, r.stderr);
		}
	}
	const explained = await run(MERLONCTL, ['-c', s.file('merlon.conf'), '-m', MODULES, 'explain', '--json',
		'--method', 'GET', '--path', '/v1/models', '--header', `Authorization: Bearer ${s.keys.alice}`], { env });
	all.push(explained.stdout, explained.stderr);
	for (const args of [['-t'], ['-T']]) {
		const r = await run(MERLOND, ['-c', s.file('merlon.conf'), '-m', MODULES, ...args], { env });
		assert.equal(r.code, 0, r.stderr);
		all.push(r.stdout, r.stderr);
	}
	s.replace('merlon.conf', s.read('merlon.conf').replace('path = "/v1/"', 'pth = "/v1/"'));
	all.push((await s.ctl('reload')).stderr);
	for (const p of ['/metrics', '/healthz', '/readyz'])
		all.push(await (await s.admin(p)).text());
	all.push(s.log(), s.read('audit.log'));
	const text = all.join('\n');
	assert.ok(text.length > 10_000);
	for (const value of [...Object.values(secrets), ...Object.values(s.keys), ...Object.values(s.keys).map((k) => k.split('_')[2])])
		assert.ok(!text.includes(value), `${value} in ${text.slice(Math.max(0, text.indexOf(value) - 300), text.indexOf(value) + 50)}`);
});

test('P10: a window never admits more than its limit, across workers and reloads', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const limit = (more) => line('ratelimit_local', 'requisite', `default = { requests = "40/1h"; ${more} };`);
	await s.gateway({ workers: 4, ratelimit: limit('') });
	const results = await Promise.all(Array.from({ length: 120 }, async (_, i) => {
		if (i === 60)
			assert.equal((await s.reload({ limits: 'idle_timeout = "59s";' })).code, 0);
		return (await s.chat('alice')).status;
	}));
	assert.equal(results.filter((x) => x === 200).length, 40);
	assert.equal(results.filter((x) => x === 429).length, 80);
	assert.equal((await s.chat('admin')).status, 200, 'others have their own');
	assert.equal((await s.seen()).requests, 41);
	// What runs at once.
	assert.equal((await s.reload({ ratelimit: line('ratelimit_local', 'requisite', 'default = { concurrency = 3; };', 'name = "c";') })).code, 0);
	const slow = Array.from({ length: 3 }, () => {
		const socket = net.connect(s.port, HOST);
		socket.on('error', () => {});
		socket.write(`GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Demo-Wait: 1h\r\nAuthorization: Bearer ${s.keys.admin}\r\n\r\n`);
		return socket;
	});
	await until(async () => (await s.seen()).requests === 44, 'three to run');
	assert.equal((await s.chat('admin')).status, 429);
	assert.equal((await s.chat('alice')).status, 200);
	slow.forEach((socket) => socket.destroy());
	await until(() => s.records().filter((r) => r.status === 'aborted').length === 3, 'the aborts');
	assert.equal((await s.chat('admin')).status, 200, 'given back');
});

test('P12: files that others can write to are refused', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const dir = s.file('modules');
	fs.mkdirSync(dir, { mode: 0o755 });
	for (const name of fs.readdirSync(MODULES))
		fs.copyFileSync(`${MODULES}/${name}`, `${dir}/${name}`);
	s.write('rbac.conf', 'assignments = ( );\n');
	s.write('extra.conf', 'log_level = "info";\n');
	s.write('secret', 'x');
	await s.gateway({ modules: dir, authz: line('authz_rbac', 'requisite', 'policy_file = "rbac.conf";'),
		top: '@include "extra.conf"\n', upstream: 'headers = ( { name = "X-Key"; value = "${file:secret}"; } );' });
	const check = () => run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', dir]);
	assert.equal((await check()).code, 0);
	for (const name of ['merlon.conf', 'extra.conf', 'keys.jsonl', 'rbac.conf', 'secret', 'modules/authz_rbac.so', 'modules', '.']) {
		const mode = fs.statSync(s.file(name)).mode;
		for (const bits of [0o002, 0o022]) {
			fs.chmodSync(s.file(name), mode | bits);
			const r = await check();
			assert.equal(r.code, 78, `${name}: ${r.stderr}`);
			const reload = await run(MERLONCTL, ['-s', s.file('merlon.sock'), 'reload']);
			assert.equal(reload.code, 1, `${name}: ${reload.stdout}`);
		}
		fs.chmodSync(s.file(name), mode);
	}
	fs.chmodSync(s.file('secret'), 0o644);
	assert.equal((await check()).code, 78, 'a secret that others can read');
	fs.chmodSync(s.file('secret'), 0o600);
	assert.equal((await check()).code, 0);
	assert.equal((await s.ctl('reload')).code, 0);
	if (process.getuid() === 0) {
		fs.chownSync(s.file('keys.jsonl'), 65534, 65534);
		const r = await check();
		assert.equal(r.code, 78, 'a file of somebody else');
		assert.match(r.stderr, /keys\.jsonl/);
		fs.chownSync(s.file('keys.jsonl'), 0, 0);
	}
});

test('P13: a hostile upstream cannot crash Merlon or reach another client', async (t) => {
	const s = site(t);
	const big = 'y'.repeat(200_000);
	const ok = 'HTTP/1.1 200 OK\r\n';
	const answers = [
		'', '\0\0\0\0', 'HTTP/9.9 200 OK\r\n\r\n', 'HTTP/1.1 99 X\r\n\r\n', 'HTTP/1.1 1000 X\r\n\r\n', 'HTTP/1.1 -1 X\r\n\r\n',
		'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5000),
		`${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, `${ok}Content-Length: -5\r\n\r\nhello`,
		`${ok}Content-Length: 99999999999999999999\r\n\r\nhello`, `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		`${ok}Transfer-Encoding: gzip\r\n\r\nx`, `${ok}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx`,
		`${ok}Transfer-Encoding: chunked\r\n\r\n-1\r\nx`, `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX`,
		`${ok}X: ${big}\r\n\r\n`, `${ok}${'a: b\r\n'.repeat(20_000)}\r\n`, `${ok}: empty\r\n\r\n`, `${ok}X: a\rb\r\n\r\n`,
		`${ok}X: a\0b\r\nContent-Length: 0\r\n\r\n`, `${ok} folded: x\r\n\r\n`, `${ok}X-Request-Id: forged\r\nContent-Length: 0\r\n\r\n`,
		`${ok}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n30d40\r\n${big}\r\n0\r\n\r\n`,
		`${ok}Content-Type: text/event-stream\r\n\r\ndata: ${'{"usage":'.repeat(10_000)}\n\ndata: [DONE]\n\n`,
		`${ok}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n${'['.repeat(100_000)}`,
		`${ok}Content-Type: application/json\r\nContent-Length: 62\r\n\r\n{"usage":{"prompt_tokens":99999999999999999999999999999999999}}`.slice(0, -1),
		whole('{"id":1}') + whole('{"poison":true}').repeat(50), 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello',
		'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256)),
	];
	let evil = null;
	await fakeModel(s, (request, socket) => {
		if (request.line.includes('/evil'))
			socket.end(evil);
		else
			socket.write(whole(JSON.stringify({ mine: request.line })));
	});
	await s.usualKeys();
	await s.gateway({ workers: 1, rules: '{ path = "*"; action = "read"; }' });
	let refused = 0;
	for (const [i, answer] of answers.entries()) {
		evil = answer;
		const got = await s.raw(`GET /evil/${i} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${s.keys.alice}\r\nConnection: close\r\n\r\n`);
		const text = got.toString('latin1');
		assert.match(text, /^HTTP\/1\.1 (200|204|304|502|503) /, `answer ${i}`);
		assert.ok(!text.includes('poison'), 'what comes after an answer belongs to nobody');
		assert.ok((text.match(/^x-request-id: /gim) ?? []).length === 1 && !text.includes('forged'), `answer ${i}`);
		assert.doesNotMatch(text.split('\r\n\r\n')[0], /\0|\r(?!\n)/);
		refused += text.startsWith('HTTP/1.1 502');
		// A server that was marked down comes back after a second at least; the others wait for that.
		const other = await until(async () => {
			const r = await s.request(`/open/${i}`, { headers: s.bearer('bob') });
			return r.status === 200 ? r : null;
		}, 'the server to be tried again');
		assert.equal(other.json().mine, `GET /open/${i} HTTP/1.1`);
	}
	assert.ok(refused > 15, `only ${refused} were refused`);
	await s.assertChain();
});

test('P14: nothing named in a request is ever fetched', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	let visits = 0;
	const trap = new Site();
	s.onEnd(() => trap.end());
	const port = await trap.server(() => { visits++; });
	const url = `http://${HOST}:${port}/x`;
	const headers = { referer: url, origin: url, forwarded: `for=${HOST}:${port};host="${HOST}:${port}"`, 'x-forwarded-host': `${HOST}:${port}`,
		'x-forwarded-for': HOST, 'x-original-url': url, 'x-rewrite-url': url, 'x-callback': url, link: `<${url}>; rel=preconnect`,
		'x-api-base': url, 'openai-organization': url };
	const body = JSON.stringify({ model: url, user: url, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }],
		metadata: { jku: url, callback: url } });
	const post = { method: 'POST', body, headers: { ...s.bearer('alice'), ...headers, 'content-length': body.length } };
	assert.equal((await s.request('/v1/chat/completions', post)).status, 200);
	const jwt = ['{"alg":"RS256","jku":"URL","x5u":"URL","kid":"URL"}', '{"iss":"URL","sub":"a"}', 'sig']
		.map((x) => Buffer.from(x.replaceAll('URL', url)).toString('base64url')).join('.');
	assert.equal((await s.request('/v1/models', { headers: { authorization: `Bearer ${jwt}` } })).status, 401);
	// The whole URL as target, and the host of another, go to the configured server or nowhere.
	const bearer = `Authorization: Bearer ${s.keys.alice}\r\nConnection: close\r\n`;
	await s.raw(`GET ${url} HTTP/1.1\r\nHost: ${HOST}:${port}\r\n${bearer}\r\n`);
	await s.raw(`CONNECT ${HOST}:${port} HTTP/1.1\r\nHost: ${HOST}:${port}\r\n${bearer}\r\n`);
	await s.raw(`GET /v1/models HTTP/1.1\r\nHost: ${HOST}:${port}\r\n${bearer}\r\n`);
	await s.raw(`GET /v1/models/http:%2F%2F${HOST}:${port}%2Fx HTTP/1.1\r\nHost: x\r\n${bearer}\r\n`);
	const explained = await ctl(['-c', s.file('merlon.conf'), '-m', MODULES, 'explain', '--method', 'POST', '--path', '/v1/chat/completions',
		'--header', `Authorization: Bearer ${s.keys.alice}`, '--header', `X-Callback: ${url}`, '--body', s.write('b.json', body)]);
	assert.equal(explained.code, 0);
	// A redirect of the model server is handed on, not followed.
	const other = site(t);
	await fakeModel(other, (request, socket) => socket.write(`HTTP/1.1 302 Found\r\nLocation: ${url}\r\nContent-Length: 0\r\n\r\n`));
	await other.usualKeys();
	await other.gateway();
	const moved = await other.request('/v1/models', { headers: other.bearer('bob') });
	assert.equal(moved.status, 302);
	assert.equal(moved.headers.location, url);
	await s.awaitRecords(6);
	assert.equal(visits, 0);
});
