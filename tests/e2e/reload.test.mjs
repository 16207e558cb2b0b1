// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Reload under traffic. Promise P7: a refused reload changes nothing, a reload drops nothing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ctl, freePort, line, raw, site, statusOf, until, HOST, MODULES } from './lib.mjs';

const LIMIT = (n) => line('ratelimit_local', 'requisite', `default = { requests = "${n}/1m"; };`);

// Asks without a pause until told to stop, by several clients at once; kept connections and new ones, whole
// answers and streams. What goes wrong is collected.
function load(s, clients) {
	const l = { sent: 0, errors: [], stop: false };
	const keep = new http.Agent({ keepAlive: true, maxSockets: clients });
	const client = async (i) => {
		for (let n = 0; !l.stop; n++) {
			const stream = (i + n) % 3 === 0;
			try {
				const r = await s.chat('alice', { stream, agent: i % 2 ? keep : false,
					headers: stream ? { 'x-demo-delay': '2ms', 'x-demo-chunks': '20' } : {} });
				l.sent++;
				if (r.status !== 200 || (stream && !r.text.endsWith('data: [DONE]\n\n')))
					l.errors.push(`${r.status} ${r.text.slice(-200)}`);
			} catch (e) {
				l.errors.push(String(e));
			}
		}
	};
	const all = Promise.all(Array.from({ length: clients }, (_, i) => client(i)));
	l.end = async () => {
		l.stop = true;
		await all;
		keep.destroy();
	};
	s.onEnd(l.end);
	return l;
}

test('P7: a reload every 200 ms under load fails no request and keeps the chain', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ ratelimit: LIMIT(1_000_000) });
	const l = load(s, 8);
	const reloads = 40;
	for (let i = 0; i < reloads; i++) {
		const next = pause(200);
		// Each generation differs: limits, keys, roles, another stack, another listener come and go.
		if (i % 4 === 1)
			await s.key(`extra${i}`, '--role', 'viewer');
		s.reconfigure({
			ratelimit: LIMIT(1_000_000 + i),
			listeners: i % 5 === 2 ? `, { address = "${HOST}:${await freePort()}"; }` : '',
			stacks: i % 3 === 0 ? ', { name = "other"; auth = "none"; authz = "none"; }' : '',
			limits: `idle_timeout = "${30 + i}s";`,
		});
		if (i % 2) {
			const r = await s.ctl('reload');
			assert.equal(r.code, 0, r.stderr + s.log());
		} else {
			s.merlond.kill('SIGHUP');
		}
		await next;
	}
	await l.end();
	assert.deepEqual(l.errors, []);
	assert.ok(l.sent > 100, `only ${l.sent} requests`);
	const { generation, last_reload: last } = await s.status();
	assert.ok(last.ok, last.text);
	assert.ok(generation > reloads / 2, `generation ${generation}`);
	const records = await s.awaitRecords(l.sent);
	assert.ok(records.every((r) => r.status === 'success'));
	assert.ok(new Set(records.map((r) => r.generation)).size > 5, 'requests of many generations');
	await s.assertChain();
	await until(async () => (await s.status()).generations === 1, 'old generations to go');
});

test('P7: a refused reload changes nothing, exits with 1 and names file and line', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ ratelimit: LIMIT(1000) });
	const before = await s.status();
	const stacks = (await s.ctl('stacks', '--json')).stdout;
	const good = s.read('merlon.conf');
	const at = (text) => good.split('\n').findIndex((x) => x.includes(text)) + 1;
	const l = load(s, 2);
	// By the socket itself, since one of these configurations names another.
	const reload = (...more) => ctl(['-s', s.file('merlon.sock'), 'reload', ...more]);
	const table = [
		['requests = "1000/1m"', 'requests = "often"', 'ratelimit_local'],
		['module = "authz_rbac"', 'module = "authz_nonesuch"', 'authz_rbac'],
		['keys_file', 'keys_fil', 'auth_apikey'],
		['control = "requisite"', 'control = "requisit"', 'auth_apikey'],
		['upstream = "llm"; }', 'upstream = "lm"; }', 'path = "/v1/"'],
		['workers = 2;', 'workers = 3;', 'workers'],
		['socket = "merlon.sock"', 'socket = "other.sock"', 'merlon.sock'],
		['workers = 2;', 'workers = = 2;', 'workers'],
		[`address = "${HOST}:${s.port}"`, `address = "${HOST}:${s.upstream}"`, 'name = "main"'],
		['path = "audit.log"', 'path = "audit.log"; mode = "strict"', 'audit_file'],
		['path = "audit.log"', 'path = "nowhere/audit.log"', 'audit_file'],
	];
	for (const [from, to, where] of table) {
		assert.ok(good.includes(from));
		s.replace('merlon.conf', good.replace(from, to));
		const r = await reload();
		assert.equal(r.code, 1, `${to}: ${r.stdout}${r.stderr}`);
		assert.ok(r.stderr.includes(`${s.file('merlon.conf')}:${at(where)}: `), `${to}: ${r.stderr}`);
		const json = await reload('--json');
		assert.equal(json.code, 1);
		assert.equal(JSON.parse(json.stdout).ok, false);
		const now = JSON.parse((await ctl(['-s', s.file('merlon.sock'), 'status', '--json'])).stdout);
		assert.equal(now.generation, before.generation);
		assert.equal(now.last_reload.ok, false);
	}
	// All errors of meaning are told at once.
	s.replace('merlon.conf', good.replace('"1000/1m"', '"often"').replace('keys_file', 'keys_fil'));
	const both = await s.ctl('reload');
	assert.equal(both.code, 1);
	assert.ok(both.stderr.includes(`:${at('ratelimit_local')}: `) && both.stderr.includes(`:${at('auth_apikey')}: `), both.stderr);
	assert.match(both.stderr, /did you mean.*keys_file/i);

	assert.equal((await s.ctl('stacks', '--json')).stdout, stacks, 'the stacks are as they were');
	assert.equal((await s.chat('alice')).status, 200);
	s.replace('merlon.conf', good);
	assert.equal((await s.ctl('reload')).code, 0);
	await l.end();
	assert.deepEqual(l.errors, []);
});

test('P7: a request finishes on the generation it began with; the next one of its connection sees the new', async (t) => {
	const s = site(t);
	const model = await s.heldModel();
	await s.usualKeys();
	await s.gateway({ ratelimit: LIMIT(3) });
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	t.after(() => agent.destroy());
	const stream = s.chat('alice', { agent, stream: true });
	await until(() => model.arrived === 1, 'the stream to begin');
	const r = await s.reload({ ratelimit: LIMIT(2), authz: line('authz_rbac', 'requisite', 'policy_file = "rbac.conf";') });
	assert.equal(r.code, 1, 'a file that is not there refuses');
	s.write('rbac.conf', 'roles = ( { name = "analyst"; permissions = [ "read", "predict" ]; } );\n');
	const again = await s.ctl('reload');
	assert.equal(again.code, 0, again.stderr);
	assert.equal((await s.status()).generations, 2, 'the stream keeps its generation');
	model.release();
	const whole = await stream;
	assert.equal(whole.status, 200);
	assert.equal(whole.text, 'data: {"x":1}\n\ndata: [DONE]\n\n');
	// The count goes on: one of two is used up, and the same connection sees the new limit.
	const next = await s.chat('alice', { agent });
	assert.equal(next.status, 200);
	assert.equal(next.headers['x-ratelimit-limit-requests'], '2');
	assert.equal(next.headers['x-ratelimit-remaining-requests'], '0');
	assert.equal((await s.chat('alice', { agent })).status, 429);
	const [a, b] = await s.awaitRecords(3);
	assert.ok(b.generation > a.generation);
});

test('keys and roles take effect at the reload and not before', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	await s.key('carol', '--role', 'analyst');
	assert.equal((await s.chat('carol')).status, 401);
	assert.equal((await s.ctl('reload')).code, 0);
	assert.equal((await s.chat('carol')).status, 200);
	const id = s.keys.carol.split('_')[1];
	assert.equal((await s.ctl('key', 'revoke', '--keys', s.file('keys.jsonl'), id)).code, 0);
	assert.equal((await s.chat('carol')).status, 200);
	assert.equal((await s.ctl('reload')).code, 0);
	assert.equal((await s.chat('carol')).status, 401);
});

test('a removed listener ends and a new one serves; connections of the old one finish', async (t) => {
	const s = site(t);
	const model = await s.heldModel();
	await s.usualKeys();
	await s.gateway();
	const old = s.port;
	const running = s.chat('alice');
	await until(() => model.arrived === 1, 'the request to arrive');
	s.port = await freePort();
	const r = await s.reload({ port: s.port });
	assert.equal(r.code, 0, r.stderr);
	model.release();
	assert.equal((await running).status, 200);
	assert.equal((await s.chat('alice')).status, 200);
	s.port = old;
	await assert.rejects(s.chat('alice'), { code: 'ECONNREFUSED' });
});

// A folder of modules that the test may change.
async function ownModules(s) {
	const dir = s.file('modules');
	fs.mkdirSync(dir, { mode: 0o755 });
	for (const name of fs.readdirSync(MODULES))
		fs.copyFileSync(path.join(MODULES, name), path.join(dir, name));
	s.modules = dir;
	return dir;
}
const hashOf = async (s, name) =>
	JSON.parse((await s.ctl('modules', '--json')).stdout).modules.filter((m) => m.name === name).map((m) => m.hash);

test('a module file that is replaced on disk is picked up by a reload', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const dir = await ownModules(s);
	await s.gateway({ modules: dir });
	const before = await hashOf(s, 'authz_rbac');
	assert.equal(before.length, 1);
	const l = load(s, 2);
	// Another build of the same module: the same code, and a byte more behind it.
	const file = path.join(dir, 'authz_rbac.so');
	fs.writeFileSync(`${file}.new`, Buffer.concat([fs.readFileSync(file), Buffer.from([0])]), { mode: 0o755 });
	fs.renameSync(`${file}.new`, file);
	assert.deepEqual(await hashOf(s, 'authz_rbac'), before, 'not before the reload');
	const r = await s.ctl('reload');
	assert.equal(r.code, 0, r.stderr);
	const after = await hashOf(s, 'authz_rbac');
	assert.ok(after.some((h) => !before.includes(h)), 'the new build is loaded');
	const line = JSON.parse((await s.ctl('stacks', '--json')).stdout).stacks[0].authz[0];
	assert.ok(!before.includes(line.hash), 'and serves');
	await l.end();
	assert.deepEqual(l.errors, []);

	// Another module under the name, which answers otherwise: its code serves, not the one that is mapped.
	fs.copyFileSync(path.join(dir, 'test_return.so'), `${file}.new`);
	fs.renameSync(`${file}.new`, file);
	const other = await s.ctl('reload');
	if (other.code === 0)
		assert.equal((await s.chat('bob')).status, 200, 'what is loaded under the name decides');
	else
		assert.match(other.stderr, /merlon\.conf:\d+: /);
});

test('a module file overwritten in place while mapped does no harm', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const dir = await ownModules(s);
	await s.gateway({ modules: dir });
	const l = load(s, 2);
	const file = path.join(dir, 'auth_apikey.so');
	const good = fs.readFileSync(file);
	// Zeros over every page, then shorter, then nothing: what a careless copy does to a mapped file.
	for (const bytes of [Buffer.alloc(good.length), good.subarray(0, 1000), Buffer.alloc(0)]) {
		const fd = fs.openSync(file, 'r+');
		fs.writeSync(fd, bytes, 0, bytes.length, 0);
		fs.ftruncateSync(fd, bytes.length);
		fs.closeSync(fd);
		assert.equal((await s.chat('alice')).status, 200);
		const r = await s.ctl('reload');
		assert.equal(r.code, 1, 'what is no module is refused');
		assert.match(r.stderr, /merlon\.conf:\d+: .*auth_apikey/);
		assert.equal((await s.chat('alice')).status, 200);
	}
	fs.writeFileSync(file, good);
	const r = await s.ctl('reload');
	assert.equal(r.code, 0, r.stderr);
	await l.end();
	assert.deepEqual(l.errors, []);
});

test('P2: a module that crashes or hangs in create only refuses the reload', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	const l = load(s, 2);
	const r = await s.reload({ ratelimit: line('test_return', 'required', 'crash = "create";') });
	assert.equal(r.code, 1, r.stdout);
	assert.match(r.stderr, /test_return/);
	const stalled = await s.reload({ ratelimit: line('test_return', 'required', 'crash = "stall";') });
	assert.equal(stalled.code, 1, stalled.stdout);
	assert.match(stalled.stderr, /busy with a module's create/);
	const refused = await s.reload({ ratelimit: line('test_return', 'required', 'refuse = "not today";') });
	assert.equal(refused.code, 1);
	assert.match(refused.stderr, /merlon\.conf:\d+: .*not today/);
	const start = await s.reload({ ratelimit: line('test_return', 'required', 'refuse_start = true;') });
	assert.equal(start.code, 1);
	assert.match(start.stderr, /test_return/);
	assert.equal((await s.status()).generation, 1);
	await l.end();
	assert.deepEqual(l.errors, []);
	assert.equal((await s.reload({ ratelimit: '' })).code, 0);
});

test('a keep-alive connection outlives many reloads', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	t.after(() => agent.destroy());
	const ports = new Set();
	agent.on('free', (socket) => ports.add(socket.localPort));
	for (let i = 0; i < 5; i++) {
		assert.equal((await s.chat('alice', { agent })).status, 200);
		assert.equal((await s.reload({ limits: `idle_timeout = "${50 + i}s";` })).code, 0);
	}
	assert.equal(ports.size, 1);
	// Upstream connections stay as well, for as long as their address does: one a worker, and the test's own.
	assert.equal(statusOf(await raw(s.port, `GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${
		s.keys.alice}\r\nConnection: close\r\n\r\n`)), 200);
});
