// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The commands as scripts use them: exit codes, JSON, options before and after, signals, and that explain
// says what really happens.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ctl, line, run, site, until, HOST, MERLOND, MODULES } from './lib.mjs';

const merlond = (...args) => run(MERLOND, args);

describe('merlonctl', () => {
	const s = site({ after });
	before(async () => {
		await s.demo();
		await s.usualKeys();
		await s.key('carol', '--role', 'analyst', '--model', 'churn-*', '--action', 'predict');
		await s.key('dave', '--role', 'analyst', '--expires', '90d');
		s.write('rbac.conf', 'roles = ( { name = "tuner"; permissions = [ "train" ]; models = [ "base-*" ]; } );\n' +
			'assignments = ( { sub = "bob"; roles = [ "tuner" ]; } );\n');
		await s.gateway({
			authz: line('authz_rbac', 'requisite', 'policy_file = "rbac.conf";'),
			ratelimit: line('ratelimit_local', 'requisite', 'default = { requests = "10000/1m"; };'),
		});
	});

	test('status, stacks, modules: text, and JSON before and after the command', async () => {
		const c = ['-c', s.file('merlon.conf')];
		for (const name of ['status', 'stacks', 'modules']) {
			const text = await ctl([...c, name]);
			assert.equal(text.code, 0, text.stderr);
			assert.ok(text.stdout.length > 0);
			for (const args of [['--json', ...c, name], [name, '--json', ...c], [...c, name, '--json'],
				['-s', s.file('merlon.sock'), name, '--json']]) {
				const r = await ctl(args);
				assert.equal(r.code, 0, r.stderr);
				assert.equal(JSON.parse(r.stdout).ok, true);
			}
		}
		const status = await s.status();
		assert.equal(status.state, 'serving');
		assert.equal(status.pid, s.merlond.pid);
		const modules = JSON.parse((await ctl([...c, 'modules', '--json'])).stdout).modules.map((m) => m.name).sort();
		assert.deepEqual(modules, ['audit_file', 'auth_apikey', 'authz_rbac', 'ratelimit_local']);
		const { stacks } = JSON.parse((await ctl([...c, 'stacks', '--json'])).stdout);
		assert.deepEqual(stacks.map((x) => x.name), ['default']);
		assert.equal(stacks[0].auth[0].module, 'auth_apikey');
	});

	test('wrong usage is 64, later commands say so, nobody there is 69', async () => {
		for (const args of [[], ['nonsense'], ['status', 'x'], ['-c'], ['key'], ['key', 'nonsense'],
			['key', 'create'], ['key', 'create', '--keys', s.file('k')], ['audit'], ['audit', 'nonsense'],
			['explain', '-c', s.file('merlon.conf')], ['key', 'create', '--keys', s.file('k'), '--sub', 'x', '--nonsense', 'y'],
			['key', 'create', '--keys', s.file('k'), '--sub', 'x', '--action', 'fly'],
			['key', 'create', '--keys', s.file('k'), '--sub', 'x', '--expires', 'soon']]) {
			const r = await ctl(args);
			assert.equal(r.code, 64, `${args}: ${r.stdout}${r.stderr}`);
			assert.notEqual(r.stderr, '');
			assert.equal(r.stdout, '');
		}
		assert.ok(!fs.existsSync(s.file('k')), 'nothing was written');
		for (const name of ['limits', 'replay', 'report', 'policy', 'top']) {
			const r = await ctl([name]);
			assert.equal(r.code, 64);
			assert.match(r.stderr, new RegExp(`${name}.*(version|later)`));
		}
		assert.equal((await ctl(['-s', s.file('nobody.sock'), 'status'])).code, 69);
		for (const args of [['-h'], ['-V'], ['--help'], ['--version']]) {
			const r = await ctl(args);
			assert.equal(r.code, 0);
			assert.notEqual(r.stdout, '');
		}
	});

	test('keys: create, list, rotate, revoke, import', async () => {
		const file = s.file('other.jsonl');
		const keys = (...args) => ctl(['key', ...args, '--keys', file]);
		const made = await keys('create', '--sub', 'eve', '--org', 'o', '--team', 't', '--tier', 'gold', '--role', 'a',
			'--role', 'b', '--scope', 's', '--model', 'm-*', '--action', 'read');
		assert.equal(made.code, 0, made.stderr);
		assert.match(made.stdout, /^mrl_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}\n$/, 'the key alone');
		assert.equal(fs.statSync(file).mode & 0o777, 0o600);
		const text = fs.readFileSync(file, 'utf8');
		const entry = JSON.parse(text);
		assert.ok(!text.includes(made.stdout.trim().split('_')[2]), 'only its hash is kept');
		assert.equal(entry.sub, 'eve');
		assert.deepEqual(entry.roles, ['a', 'b']);
		assert.deepEqual(entry.models, ['m-*']);
		assert.match(entry.hashes[0], /^sha256:[0-9a-f]{64}$/);
		const json = await keys('create', '--json', '--sub', 'mallory', '--expires', '90d');
		const { id, key } = JSON.parse(json.stdout);
		assert.equal(key.split('_')[1], id);

		const list = await keys('list', '--json');
		assert.equal(list.code, 0, list.stderr);
		assert.ok(list.stdout.includes('mallory') && !list.stdout.includes(entry.hashes[0].slice(7)), 'no hashes');
		JSON.parse(list.stdout);
		assert.ok((await keys('list')).stdout.includes('eve'));
		assert.equal((await keys('list', 'nonesuch')).code !== 0, true);

		const rotated = await keys('rotate', id, '--overlap', '1h');
		assert.equal(rotated.code, 0, rotated.stderr);
		assert.match(rotated.stdout, new RegExp(`^mrl_${id}_`));
		assert.notEqual(rotated.stdout.trim(), key);
		assert.equal((await keys('revoke', id, '--json')).code, 0);
		assert.ok(fs.readFileSync(file, 'utf8').split('\n').some((x) => x.includes(id) && JSON.parse(x).disabled === true));

		const short = await ctl(['key', 'import', '--keys', file, '--sub', 'frank'], { input: 'too-short\n' });
		assert.notEqual(short.code, 0);
		const secret = 'sk-foreign-0123456789abcdef0123456789abcdef';
		const imported = await ctl(['key', 'import', '--keys', s.file('keys.jsonl'), '--sub', 'frank', '--role', 'viewer'],
			{ input: `${secret}\n` });
		assert.equal(imported.code, 0, imported.stderr);
		assert.ok(!imported.stdout.includes(secret));
		assert.equal((await s.ctl('reload')).code, 0);
		s.keys.frank = secret;
		assert.equal((await s.request('/v1/models', { headers: s.bearer('frank') })).status, 200);
	});

	test('rotation: both keys during the overlap, the new one alone without', async () => {
		const id = s.keys.dave.split('_')[1];
		const rotate = (...more) => ctl(['key', 'rotate', '--keys', s.file('keys.jsonl'), id, ...more]);
		const second = (await rotate('--overlap', '1h')).stdout.trim();
		assert.equal((await s.ctl('reload')).code, 0);
		const ask = (key) => s.request('/v1/models', { headers: { authorization: `Bearer ${key}` } });
		assert.equal((await ask(s.keys.dave)).status, 200);
		assert.equal((await ask(second)).status, 200);
		const third = (await rotate()).stdout.trim();
		assert.equal((await s.ctl('reload')).code, 0);
		assert.equal((await ask(s.keys.dave)).status, 401);
		assert.equal((await ask(second)).status, 401);
		assert.equal((await ask(third)).status, 200);
	});

	test('explain says what really happens', async () => {
		const body = (model) => ({ text: JSON.stringify({ messages: [], model }) });
		const table = [
			['GET', '/v1/models', 'alice'], ['GET', '/v1/models', 'bob'], ['GET', '/v1/models', null],
			['GET', '/v1/models/demo-model', 'carol'], ['DELETE', '/v1/models/demo-model', 'bob'],
			['POST', '/v1/chat/completions', 'alice', body('demo-model')],
			['POST', '/v1/chat/completions', 'bob', body('demo-model')],
			['POST', '/v1/chat/completions', 'carol', body('demo-model')],
			['POST', '/v1/chat/completions', 'carol', body('churn-1')],
			['POST', '/v1/chat/completions', 'admin', { text: '{"messages":[]}' }],
			['POST', '/v1/chat/completions', 'admin', { text: '{"model":"a","model":"b"}' }],
			['POST', '/v1/chat/completions', 'admin', { text: '{"model":7}' }],
			['POST', '/v1/chat/completions', 'admin', { text: '' }],
			['POST', '/v1/fine_tuning/jobs', 'bob', body('base-1')],
			['POST', '/v1/fine_tuning/jobs', 'bob', body('other')],
			['POST', '/v1/chat/completions', null, { text: '{"model":7}' }],
			['POST', '/v1/chat/completions', 'bob', { text: '{"model":"demo-model"' }],
			['POST', '/v1/models', 'admin', { text: '{}' }], ['GET', '/v1/nonsense', 'admin'],
			['GET', '/v1/%2e%2e/x', 'admin'], ['GET', '/anything', 'bob'], ['POST', '/predict', 'bob', { text: '{}' }],
			['POST', '/predict', 'alice', { text: '{}' }], ['POST', '/models/churn-9', 'carol', { text: '{}' }],
			['GET', '/v1/models', { authorization: 'Bearer nonsense' }],
			['GET', '/v1/models', { authorization: 'Basic YTpi' }],
			['GET', '/v1/models', { 'x-api-key': 'mrl_00000000_00000000000000000000000000000000000000' }],
			['GET', '/v1/models', { authorization: 'Bearer a', 'x-api-key': 'b' }],
		];
		const seen = await s.seen();
		const zones = (await s.status()).zones.map((z) => z.records);
		const told = [];
		for (const [method, p, who, b] of table) {
			const headers = typeof who === 'string' ? s.bearer(who) : who ?? {};
			const args = ['explain', '--json', '--method', method, '--path', p,
				...Object.entries(headers).flatMap(([n, v]) => ['--header', `${n}: ${v}`])];
			if (b)
				args.push('--header', 'content-type: application/json', '--body', s.write('body.json', b.text));
			const r = await s.ctl(...args);
			assert.equal(r.code, 0, `${method} ${p}: ${r.stderr}`);
			told.push(JSON.parse(r.stdout));
			const text = await s.ctl(...args.filter((x) => x !== '--json'));
			assert.match(text.stdout, told.at(-1).allowed ? /passes/ : new RegExp(`refused +${told.at(-1).status}`));
		}
		assert.equal((await s.seen()).requests, seen.requests, 'nobody was contacted');
		assert.equal(s.records().length, s.records().filter((r) => r.path !== '/models/churn-9').length, 'nothing was recorded');
		assert.deepEqual((await s.status()).zones.map((z) => z.records), zones, 'nothing was charged');
		for (const [i, [method, p, who, b]] of table.entries()) {
			const headers = typeof who === 'string' ? s.bearer(who) : who ?? {};
			const before = (await s.seen()).requests;
			const r = await s.request(p, { method, body: b?.text, headers: { ...headers,
				...(b ? { 'content-type': 'application/json', 'content-length': b.text.length } : {}) } });
			const passed = (await s.seen()).requests > before;
			const what = `${method} ${p} ${JSON.stringify(who)} ${b?.text ?? ''}: ${JSON.stringify(told[i])}`;
			assert.equal(told[i].allowed, passed, what);
			if (!passed)
				assert.equal(told[i].status, r.status, what);
			const record = await s.record(r.headers['x-request-id']);
			assert.deepEqual(told[i].decisions.filter((d) => d.group !== 'audit'),
				record.decisions.filter((d) => d.group !== 'audit'), what);
			assert.equal(told[i].model, record.model_id, what);
			assert.equal(told[i].action ?? null, record.action, what);
			if (!passed)
				assert.equal(told[i].reason, record.reason, what);
		}
	});

	test('admin HTTP: healthz, readyz, metrics; never on a data listener', async () => {
		assert.equal((await s.admin('/healthz')).status, 200);
		assert.equal((await s.admin('/readyz')).status, 200);
		assert.equal((await s.admin('/nonsense')).status, 404);
		const text = await (await s.admin('/metrics')).text();
		for (const name of ['merlon_requests_total{', 'merlon_request_duration_seconds', 'merlon_module_seconds',
			'merlon_verdicts_total{', 'merlon_upstream_inflight{', 'merlon_reloads_total{', 'merlon_generation ', 'merlon_audit_'])
			assert.ok(text.includes(name), name);
		for (const leak of ['alice', 'churn-1', s.keys.alice])
			assert.ok(!text.includes(leak), `${leak} is a label`);
		for (const p of ['/healthz', '/metrics'])
			assert.equal((await s.request(p)).status, 401);
	});
});

test('merlond: exit codes and checks', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	const good = s.read('merlon.conf');
	const file = s.file('other.conf');
	const check = (text, ...args) => {
		s.write('other.conf', text);
		return merlond('-c', file, '-m', MODULES, ...args);
	};

	const ok = await check(good, '-t');
	assert.equal(ok.code, 0, ok.stderr);
	for (const args of [['-h'], ['-V']])
		assert.equal((await merlond(...args)).code, 0);
	for (const args of [['-x'], ['stray'], ['-f', '-d'], ['-c']])
		assert.equal((await merlond(...args)).code, 64, args.join(' '));

	for (const [from, to] of [['workers = 2;', 'workers = = 2;'], ['keys_file', 'nonsense'], ['"authz_rbac"', '"nonesuch"'],
		['upstream = "llm"; }', 'upstream = "x"; }'], ['"audit.log"; ', '"nowhere/audit.log"; '],
		['"audit.log"; ', '"audit.log"; mode = "strict"; '],
		['workers = 2;', 'workers = 99999999999999999999;'], ['workers = 2;', 'fallback_stack = "a\\x00b";'],
		['requisite', 'optional'], ['api = "openai"', 'api = "grpc"'], ['api = "openai"', 'api = "kserve"; allow_unknown = "any"'],
		['"main";', '"main"; tls = { certificate = "x"; key = "y"; };'], ['ratelimit = (', `ratelimit = ( ${line('ratelimit_local',
			'requisite', 'default = { tokens = "5/1m"; };')}`], ['ratelimit = (', `ratelimit = ( ${line('ratelimit_local', 'requisite',
			'default = { cost = "5.0/1m"; };')}`], ['ratelimit = (', `ratelimit = ( ${line('ratelimit_local', 'requisite',
			'default = { requests = "5/1m"; }; penalty = { after = "5/1m"; block = "2h"; };')}`], ['ratelimit = (', `ratelimit = ( ${line('ratelimit_local', 'requisite',
			'default = { requests = "5/1m"; }; penalty = { block = "30s"; };')}`], ['ratelimit = (', `ratelimit = ( ${line('ratelimit_local',
			'requisite', 'default = { requests = "5/1m"; }; count = "some";')}`], [`address = "${HOST}:${s.port}"`, 'address = "nonsense"'], ['workers = 2;', 'tls = {};']]) {
		assert.ok(good.includes(from));
		const text = good.replace(from, to).replace('merlon.sock', 'second.sock');
		for (const args of [['-t'], ['-f']]) {
			const r = await check(text, ...args);
			assert.equal(r.code, 78, `${to}: ${r.stderr}`);
			assert.match(r.stderr, /other\.conf:\d+: /);
		}
	}
	for (const args of [['-t'], ['-f']])
		assert.equal((await merlond('-c', s.file('nonesuch.conf'), ...args)).code, 78);

	// A second instance: of the same control socket, and of the same address.
	const again = await merlond('-c', s.file('merlon.conf'), '-m', MODULES, '-f');
	assert.equal(again.code, 69);
	assert.match(again.stderr, /another merlond/);
	const taken = await check(good.replace('merlon.sock', 'second.sock'), '-f');
	assert.equal(taken.code, 69, taken.stderr);
	assert.ok(taken.stderr.includes('other.conf:'), taken.stderr);
	const nowhere = await check(good.replace('merlon.sock', 'second.sock'), '-f', '-p', s.file('nowhere/pid'));
	assert.equal(nowhere.code, 74, nowhere.stderr);
	const socket = await check(good.replace('merlon.sock', 'nowhere/second.sock'), '-f');
	assert.equal(socket.code, 74, socket.stderr);
	assert.equal((await s.chat('alice')).status, 200, 'the first one serves on');

	// Checks bind nothing and create nothing.
	const names = fs.readdirSync(s.dir).sort();
	await check(good.replace('"audit.log"', '"fresh.log"').replace('merlon.sock', 'fresh.sock'), '-t');
	assert.deepEqual(fs.readdirSync(s.dir).sort(), names);

	const shown = await check(good, '-T');
	assert.equal(shown.code, 0, shown.stderr);
	assert.match(shown.stdout, /idle_timeout/, 'defaults are shown');
	const back = await check(shown.stdout, '-t');
	assert.equal(back.code, 0, `what -T prints is a configuration: ${back.stderr}`);
});

test('merlond -d serves when the command returns, and leaves a pid file', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	await s.stop();
	const r = await run('sh', ['-c', `exec ${MERLOND} -d -c ${s.file('merlon.conf')} -m ${MODULES} -p ${s.file('pid')} 2>${s.file('log')}`]);
	assert.equal(r.code, 0, s.read('log'));
	const pid = Number(s.read('pid'));
	s.onEnd(async () => {
		await until(() => {
			try {
				return !process.kill(pid, 'SIGTERM');
			} catch {
				return true;
			}
		}, 'the daemon to end');
		assert.doesNotMatch(s.read('log'), /Sanitizer|runtime error:/);
		assert.ok(!fs.existsSync(s.file('pid')));
	});
	assert.equal((await s.chat('alice')).status, 200);
	assert.equal((await s.status()).pid, pid);
	const second = await merlond('-d', '-c', s.file('merlon.conf'), '-m', MODULES);
	assert.equal(second.code, 69, 'a failure is told by the command');
});

test('signals of later versions are refused with a word', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway();
	s.merlond.kill('SIGUSR2');
	await until(() => /USR2.*(version|later|not supported)/i.test(s.log()), 'a message');
	assert.equal((await s.chat('alice')).status, 200);
});

const draining = (s) => until(async () => (await s.admin('/readyz').catch(() => ({}))).status !== 200, 'draining');

test('TERM: idle connections end, running requests finish, then the process ends with 0', async (t) => {
	const s = site(t);
	const model = await s.heldModel();
	await s.usualKeys();
	await s.gateway({ limits: 'drain_timeout = "1h";' });
	const idle = net.connect(s.port, HOST);
	const idleEnd = new Promise((resolve) => idle.on('close', resolve));
	idle.on('error', () => {});
	idle.resume();
	const agent = new http.Agent({ keepAlive: true });
	t.after(() => agent.destroy());
	const stream = s.chat('alice', { agent, stream: true });
	const waiting = s.chat('alice', { agent });
	stream.catch(() => {});
	waiting.catch(() => {});
	await until(() => model.arrived === 2, 'both to run');
	s.merlond.kill('SIGTERM');
	await idleEnd;
	await until(() => s.request('/').then(() => false, (e) => e.code === 'ECONNREFUSED'), 'listeners to close');
	await draining(s);
	assert.ok(!s.merlond.over, 'it waits for what runs');
	model.release();
	const r = await waiting;
	assert.equal(r.status, 200);
	assert.equal(r.headers.connection, 'close', 'the client is told that the connection ends');
	assert.equal((await stream).text, 'data: {"x":1}\n\ndata: [DONE]\n\n');
	await s.assertEnd();
	assert.ok(s.records().filter((x) => x.status === 'success').length === 2, 'what audit had left is written');
	await s.assertChain();
});

test('a second TERM ends running requests now, with their records', async (t) => {
	const s = site(t);
	const model = await s.heldModel();
	await s.usualKeys();
	await s.gateway({ limits: 'drain_timeout = "1h";' });
	const both = [true, false].map((stream) => s.chat('alice', { stream }).then((r) => r.status, () => 'broken'));
	await until(() => model.arrived === 2, 'both to run');
	s.merlond.kill('SIGTERM');
	await draining(s);
	assert.ok(!s.merlond.over);
	s.merlond.kill('SIGTERM');
	assert.ok((await Promise.all(both)).every((x) => x === 'broken' || x >= 500));
	await s.assertEnd();
	assert.equal(s.records().length, 2);
	assert.ok(s.records().every((r) => r.status !== 'success'));
	await s.assertChain();
});

test('merlonctl drain does what TERM does', async (t) => {
	const s = site(t);
	const model = await s.heldModel();
	await s.usualKeys();
	await s.gateway();
	const running = s.chat('alice');
	await until(() => model.arrived === 1, 'the request to run');
	const r = await s.ctl('drain', '--json');
	assert.equal(r.code, 0, r.stderr);
	assert.equal(JSON.parse(r.stdout).ok, true);
	model.release();
	assert.equal((await running).status, 200);
	await s.assertEnd();
	assert.equal((await s.ctl('status')).code, 69);
});

test('limits.drain_timeout ends what does not end by itself', async (t) => {
	const s = site(t);
	const model = await s.heldModel();
	await s.usualKeys();
	await s.gateway({ limits: 'drain_timeout = "100ms";' });
	const running = s.chat('alice', { stream: true }).then((r) => r.text, () => 'broken');
	await until(() => model.arrived === 1, 'the request to run');
	s.merlond.kill('SIGTERM');
	assert.ok(!(await running).includes('[DONE]'));
	await s.assertEnd();
	assert.equal(s.records().length, 1);
	await s.assertChain();
});
