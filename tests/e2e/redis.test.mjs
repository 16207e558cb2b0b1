// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Limits that gateways hold together in a real Redis server: exactly while it answers, as the line says when
// it is killed, stopped, slow or emptied, and exactly again afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ctl, line, site, until, AUDIT, HOST, KEYS, MODULES } from './lib.mjs';
import { Authority } from './certificates.mjs';
import { Client, count, finalRecords, statuses, why } from './limits.mjs';
import { beside, Gate, limit, metric, Redis } from './redis.mjs';

async function people(s) {
	await s.key('admin', '--role', 'admin', '--org', 'acme');
	for (const name of ['alice', 'bob'])
		await s.key(name, '--role', 'data_scientist', '--org', 'acme');
}
async function start(t, options) {
	const s = site(t);
	await s.demo();
	await people(s);
	return { s, redis: await new Redis(s, options).start() };
}
const client = (s, name = 'alice', connections = 1) => new Client(s, { key: s.keys[name], connections });
const policies = (records) => count(records, (r) => r.decisions.find((d) => d.line === 'limit')?.policy);

test('P10: two gateways admit exactly their limit together, over workers and connections', async (t) => {
	const { s, redis } = await start(t);
	const o = { workers: 2, ratelimit: limit(redis, 'default = { requests = "100/1h"; burst = "70/30m"; };') };
	await s.gateway(o);
	const other = await beside(t, s, o);
	const clients = Array.from({ length: 32 }, () => [client(s), client(other)]).flat();
	const answers = (await Promise.all(clients.map((c) => c.hammer(4)))).flat();
	assert.deepEqual(statuses(answers), { 200: 70, 429: 186 });
	assert.equal((await s.seen()).requests, 70);
	for (const a of answers.filter((x) => x.status === 429))
		assert.ok(a.retryAfter >= 1 && a.retryAfter <= 1920, `${a.retryAfter}`);
	// A larger burst on both: what was refused charged nothing, so the rest of the other window passes.
	const more = { ratelimit: limit(redis, 'default = { requests = "100/1h"; burst = "700/30m"; };') };
	assert.equal((await s.reload(more)).code, 0);
	assert.equal((await other.reload(more)).code, 0);
	const rest = (await Promise.all(clients.map((c) => c.hammer(2)))).flat();
	assert.deepEqual(statuses(rest), { 200: 30, 429: 98 });
	// One key in Redis, which will end.
	const keys = (await redis.cli('KEYS', '*')).split('\n');
	assert.equal(keys.length, 1, keys.join());
	assert.match(keys[0], /^merlon:default\/ratelimit\/limit:/);
	assert.ok(Number(await redis.cli('PTTL', keys[0])) > 0);
});

test('the numbers are those of ratelimit_local', async (t) => {
	const { s, redis } = await start(t);
	const options = 'default = { requests = "9/1h"; burst = "4/30m"; }; ' +
		'tiers = ( { tier = "gold"; burst = "6/30m"; } ); overrides = ( { key = "bob"; requests = "2/1h"; } ); ' +
		'penalty = { after = "3/1h"; block = "30m"; max = "1h"; };';
	await s.key('carol', '--role', 'analyst', '--org', 'acme', '--tier', 'gold');
	await s.gateway({ ratelimit: limit(redis, options) });
	const local = await beside(t, s, { ratelimit: line('ratelimit_local', 'requisite', options, 'name = "limit";') });
	const told = async (gateway, name) => {
		const all = [];
		for (let i = 0; i < 12; i++) {
			const { status, headers } = await client(gateway, name).chat();
			all.push([status, headers['x-ratelimit-limit-requests'], headers['x-ratelimit-remaining-requests']]);
		}
		return all;
	};
	for (const name of ['alice', 'bob', 'carol'])
		assert.deepEqual(await told(s, name), await told(local, name));
	const reasons = async (gateway) => count(await finalRecords(gateway), (r) => `${r.user_id} ${r.status} ${why(r)}`);
	assert.deepEqual(await reasons(s), await reasons(local));
});

for (const [how, without] of [['deny', { 503: 20 }], ['local', { 200: 5, 429: 15 }], ['allow', { 200: 20 }]]) {
	test(`Redis killed and restarted, on_error = "${how}"`, async (t) => {
		const { s, redis } = await start(t);
		await s.gateway({ workers: 1, ratelimit: limit(redis, `on_error = "${how}"; default = { requests = "5/1h"; };`,
			{ patient: false }) });
		const alice = client(s);
		// Whatever the machine's speed: in the end Redis has answered.
		await until(async () => (await alice.chat()).headers['x-ratelimit-limit-requests'] === '5' &&
			await metric(s, 'merlon_ratelimit_redis_calls_total', 'result="ok"') > 0, 'an answer of Redis');
		await redis.kill();
		await until(async () => {
			await client(s, 'bob').chat();
			return await metric(s, 'merlon_ratelimit_redis_circuit_opened_total') > 0;
		}, 'the circuit to open');
		const answers = await client(s, 'admin', 4).hammer(20);
		assert.deepEqual(statuses(answers), without);
		if (how === 'deny') {
			assert.equal(answers[0].retryAfter, 1);
			assert.doesNotMatch(answers[0].text, /redis/i, 'no name of an inner part');
		}
		await redis.start();
		await until(async () => {
			const before = await metric(s, 'merlon_ratelimit_redis_calls_total', 'result="ok"');
			await client(s, 'bob').chat();
			return await metric(s, 'merlon_ratelimit_redis_calls_total', 'result="ok"') > before;
		}, 'Redis to be asked again');
		// Limits hold again; with a deadline that the machine can keep.
		assert.equal((await s.reload({ ratelimit: limit(redis, 'default = { requests = "5/1h"; };') })).code, 0);
		await redis.cli('FLUSHALL');
		assert.deepEqual(statuses(await client(s, 'admin', 4).hammer(20)), { 200: 5, 429: 15 });
		const said = policies((await finalRecords(s)).filter((r) => r.user_id === 'admin'));
		const what = { deny: 'refused', local: 'counted locally', allow: 'admitted uncounted' }[how];
		const unasked = Object.entries(said).filter(([p]) => p.startsWith('redis: '));
		assert.ok(unasked.every(([p]) => p.endsWith(`, ${what}`)), JSON.stringify(said));
		assert.equal(unasked.reduce((n, [, x]) => n + x, 0), 20);
		await s.logged(/redis: it is not connected/);
		await s.logged(/redis: answers again/);
	});
}

test('a stopped Redis holds up nobody, and does not charge what nobody waits for', async (t) => {
	const { s, redis } = await start(t);
	const open = '{ name = "open"; auth = ( ' + KEYS + ' ); authz = ( { module = "authz_rbac"; control = "requisite"; } ); ' +
		`audit = ( ${AUDIT} ); }`;
	await s.gateway({ workers: 1, stacks: `, ${open}`, ratelimit: limit(redis, 'default = { requests = "50/1h"; }; ' +
		'deadline = "500ms"; breaker = { failures = 20; open = "1ms"; };', { patient: false }),
	routes: ', { path = "/v1/models"; api = "openai"; stack = "open"; upstream = "llm"; }' });
	await until(async () => (await client(s).chat()).status === 200, 'Redis'); // its clock is known now
	await redis.cli('FLUSHALL');
	redis.stop();
	const waiting = client(s, 'alice', 10).hammer(10);
	// Other routes go on meanwhile: each of these is answered by itself, in this one worker.
	for (let i = 0; i < 20; i++)
		assert.equal((await client(s, 'bob').request('/v1/models')).status, 200);
	assert.deepEqual(statuses(await waiting), { 503: 10 });
	// Its clock is known as well as answers come soon: on a busy machine that is some milliseconds.
	const surely = Date.now() + 1000;
	await until(() => Date.now() > surely, 'the calls to be too late by any clock');
	redis.resume();
	await until(async () => {
		const { status, headers } = await client(s, 'bob').chat();
		return status === 200 && headers['x-ratelimit-remaining-requests'];
	}, 'Redis to be asked again');
	// Of the ten that were given up none is charged; with a deadline that the machine can keep.
	assert.equal((await s.reload({ ratelimit: limit(redis, 'default = { requests = "50/1h"; };') })).code, 0);
	const answers = await client(s).hammer(60);
	assert.deepEqual(statuses(answers), { 200: 50, 429: 10 });
});

test('a slow Redis: what it answers too late reaches no other request', async (t) => {
	const { s, redis } = await start(t);
	const users = ['alice', 'bob', 'admin'];
	await s.gateway({ workers: 1, ratelimit: limit(redis, 'on_error = "allow"; default = { requests = "1000/1h"; }; ' +
		'overrides = ( { key = "alice"; requests = "2000/1h"; }, { key = "bob"; requests = "3000/1h"; } ); ' +
		'deadline = "10ms"; breaker = { failures = 1000000; };', { patient: false }) });
	const own = { alice: '2000', bob: '3000', admin: '1000' };
	let missed = 0;
	for (let round = 0; round < 6; round++) {
		const slow = redis.cli('DEBUG', 'SLEEP', '0.15');
		await Promise.all(users.map(async (name) => {
			for (const { status, headers } of await client(s, name, 5).hammer(40)) {
				assert.equal(status, 200);
				const limited = headers['x-ratelimit-limit-requests'];
				missed += limited === undefined;
				assert.ok(limited === undefined || limited === own[name], `${name} is told ${limited}`);
			}
		}));
		await slow;
	}
	assert.ok(missed > 0, 'nothing was late');
	assert.ok(await metric(s, 'merlon_ratelimit_redis_calls_total', 'result="timeout"') > 0);
	assert.equal(await metric(s, 'merlon_ratelimit_redis_calls_total', 'result="nonsense"'), 0);
});

test('P10: a Redis that hangs again and again never lets more pass than the limit', async (t) => {
	const { s, redis } = await start(t);
	const o = { workers: 2, ratelimit: limit(redis, 'default = { requests = "300/1h"; }; deadline = "50ms"; ' +
		'breaker = { failures = 3; open = "5ms"; };', { patient: false }) };
	await s.gateway(o);
	const other = await beside(t, s, o);
	let over = false;
	const load = [s, other, s, other, s, other].map(async (gateway) => {
		const answers = [];
		while (!over)
			answers.push(...await client(gateway, 'alice', 2).hammer(4));
		return answers;
	});
	for (let i = 0; i < 12; i++) {
		const failures = async () => await metric(s, 'merlon_ratelimit_redis_fallbacks_total');
		const before = await failures();
		redis.stop();
		await until(async () => await failures() > before + 5, 'requests to be refused');
		redis.resume();
		const answered = async () => await metric(s, 'merlon_ratelimit_redis_calls_total', 'result="ok"');
		const ok = await answered();
		await until(async () => await answered() > ok + 5, 'Redis to be asked again');
	}
	over = true;
	const answers = (await Promise.all(load)).flat();
	const passed = statuses(answers)[200] ?? 0;
	const timeouts = (await Promise.all([s, other].map((g) => metric(g, 'merlon_ratelimit_redis_calls_total', 'result="timeout"'))))
		.reduce((x, y) => x + y);
	for (const gateway of [s, other])
		assert.equal((await gateway.reload({ ratelimit: limit(redis, 'default = { requests = "300/1h"; };') })).code, 0);
	const rest = statuses(await client(s, 'alice', 4).hammer(310));
	const all = passed + (rest[200] ?? 0);
	assert.ok(all <= 300, `${all} passed`);
	assert.ok(all >= 300 - timeouts, `${all} passed, and ${timeouts} calls were given up`);
	assert.equal((await s.seen()).requests, all);
});

test('SCRIPT FLUSH and FLUSHALL under load: no request fails', async (t) => {
	const { s, redis } = await start(t);
	await s.gateway({ workers: 2, ratelimit: limit(redis, 'default = { requests = "100000/1h"; concurrency = 64; };') });
	const load = client(s, 'alice', 8).hammer(400);
	let over = false;
	load.then(() => { over = true; });
	while (!over) {
		await redis.cli('SCRIPT', 'FLUSH');
		await redis.cli('FLUSHALL');
	}
	assert.deepEqual(statuses(await load), { 200: 400 });
	assert.ok(await metric(s, 'merlon_ratelimit_redis_script_loads_total') > 0);
	assert.equal(await metric(s, 'merlon_ratelimit_redis_fallbacks_total'), 0);
});

test('reloads one after another under load: no reconnect, no failed request', async (t) => {
	const { s, redis } = await start(t);
	await s.gateway({ workers: 2, ratelimit: limit(redis, 'default = { requests = "100000/1h"; concurrency = 64; }; lease = "1h";') });
	await client(s).chat();
	const connections = () => redis.info('total_connections_received');
	const before = await connections();
	let over = false;
	let asked = 0;
	const load = Array.from({ length: 6 }, async () => {
		const c = client(s);
		while (!over) {
			const { status, text } = await c.chat();
			assert.equal(status, 200, text);
			asked++;
		}
	});
	for (let i = 0; i < 10; i++)
		assert.equal((await s.reload({ ratelimit: limit(redis, `default = { requests = "${200000 + i}/1h"; concurrency = 64; }; lease = "1h";`) })).code, 0);
	over = true;
	await Promise.all(load);
	assert.ok(asked > 10, `${asked}`);
	assert.equal(await connections() - before, 1, 'beside this redis-cli nobody has connected');
	assert.equal(await metric(s, 'merlon_ratelimit_redis_fallbacks_total'), 0);
	// No place was lost on the way: none of them would come back within this test.
	assert.equal((await s.reload({ ratelimit: limit(redis, 'default = { requests = "100000/1h"; concurrency = 1; }; lease = "1h";') })).code, 0);
	await until(async () => (await client(s).chat()).status === 200, 'all places to be free');
});

test('a gateway that ends gives all places back', async (t) => {
	const { s, redis } = await start(t);
	await s.gateway({ workers: 2, ratelimit: limit(redis, 'default = { concurrency = 64; }; lease = "1h";') });
	assert.deepEqual(statuses(await client(s, 'alice', 16).hammer(64)), { 200: 64 });
	await s.stop();
	assert.equal(await redis.cli('DBSIZE'), '0');
});

test('concurrency over two gateways; one is killed: its places are free again after the lease', async (t) => {
	const { s, redis } = await start(t);
	const held = await s.heldModel();
	const o = { workers: 1, ratelimit: limit(redis, 'default = { concurrency = 3; }; lease = "4s";') };
	await s.gateway(o);
	const doomed = await beside(t, s, o);
	const alive = s.chat('alice');
	const lost = [doomed.chat('alice'), doomed.chat('alice')].map((p) => p.catch((e) => e));
	await until(() => held.arrived === 3, 'three requests at the model');
	for (const gateway of [s, doomed])
		assert.equal((await gateway.chat('alice')).status, 429);
	doomed.stop = async () => {}; // it ends badly, as it should
	doomed.merlond.kill('SIGKILL');
	assert.ok((await Promise.all(lost)).every((r) => r instanceof Error));
	// The lease of the living one is renewed: two places are free in the end, not three.
	const waiting = [];
	await until(async () => {
		const before = held.arrived;
		let answer;
		const asked = s.chat('alice').then((r) => { answer = r; return r; });
		await until(() => answer || held.arrived > before, 'an answer or a place');
		if (!answer)
			waiting.push(asked);
		return waiting.length === 2;
	}, 'the places of the killed one');
	assert.equal((await s.chat('alice')).status, 429);
	held.release();
	for (const r of await Promise.all([alive, ...waiting]))
		assert.equal(r.status, 200);
	await until(async () => await redis.cli('DBSIZE') === '0', 'all places to be given back');
});

test('a client that goes away while its place is asked for leaves none taken', async (t) => {
	const { s, redis } = await start(t);
	const gate = await new Gate(s, redis).open();
	await s.gateway({ workers: 1, ratelimit: limit(gate, 'default = { concurrency = 2; }; lease = "1h";') });
	assert.equal((await client(s).chat()).status, 200);
	await until(async () => await redis.cli('DBSIZE') === '0', 'the place to be given back');
	gate.hold();
	const before = gate.calls;
	const gone = [client(s), client(s)];
	const asked = gone.map((c) => c.chat().catch((e) => e));
	await until(() => gate.calls === before + 2, 'both calls');
	gone.forEach((c) => c.agent.destroy());
	assert.ok((await Promise.all(asked)).every((r) => r instanceof Error));
	await until(() => s.records().filter((r) => r.status === 'aborted').length === 2, 'their records');
	assert.equal(await redis.cli('DBSIZE'), '1', 'Redis has given them places');
	gate.release();
	await until(async () => await redis.cli('DBSIZE') === '0', 'all places to be given back');
	assert.deepEqual(statuses(await client(s, 'alice').hammer(4)), { 200: 4 });
});

test('count = "denied" in auth: guesses at two gateways are counted together', async (t) => {
	const { s, redis } = await start(t);
	const o = { auth: `${limit(redis, 'count = "denied"; default = { requests = "6/1h"; }; ' +
		'penalty = { after = "2/1h"; block = "30m"; max = "1h"; };')}, ${KEYS}` };
	await s.gateway(o);
	const other = await beside(t, s, o);
	const guesses = [];
	for (let i = 0; i < 10; i++) {
		const before = Number(await redis.cli('INFO', 'commandstats').then((x) => /cmdstat_evalsha:calls=(\d+)/.exec(x)?.[1] ?? 0));
		const gateway = i % 2 ? other : s;
		guesses.push(await new Client(gateway, { key: 'mrl_nonsense' }).chat());
		// The charge is sent when the answer has left: the next guess is to meet it.
		const calls = guesses.at(-1).status === 401 ? 2 : 1;
		await until(async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats'))[1]) >=
			before + calls, 'the charge');
	}
	assert.deepEqual(guesses.map((g) => g.status), [...Array(6).fill(401), ...Array(4).fill(429)]);
	assert.ok(guesses[9].retryAfter > 1700);
	// The right key does not help this address now, and helps another.
	assert.equal((await client(s).chat()).status, 429);
	assert.equal((await new Client(s, { key: s.keys.alice, from: '127.0.0.2' }).chat()).status, 200);
	const records = await finalRecords(s);
	assert.ok(records.some((r) => why(r) === 'blocked'));
});

test('count = "denied": what could not be charged does not pass', async (t) => {
	const { s, redis } = await start(t);
	const guesses = (gateway) => new Client(gateway, { key: 'guess' }).hammer(10);
	await s.gateway({ auth: `${limit(redis, 'count = "denied"; default = { requests = "10/1h"; };')}, ${KEYS}` });
	await redis.cli('CONFIG', 'SET', 'maxmemory', '1');
	assert.deepEqual(statuses(await guesses(s)), { 503: 10 });
	await s.logged(/redis: its memory is full \(OOM\)/);
	await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
	assert.deepEqual(statuses(await guesses(s)), { 401: 10 });
	await until(async () => (await client(s).chat()).status === 429, 'all of them to be charged');
	assert.equal(await redis.cli('DBSIZE'), '1');
});

test('a failover: the old server is left, and the new one found behind the same address', async (t) => {
	const { s, redis } = await start(t);
	const next = await new Redis(s).start();
	const gate = await new Gate(s, redis).open();
	await s.gateway({ ratelimit: limit(gate, 'default = { requests = "1000000/1h"; };') });
	assert.equal((await client(s).chat()).status, 200);
	await redis.cli('REPLICAOF', HOST, `${next.port}`);
	gate.redis = next;
	await until(async () => (await client(s).chat()).status === 200, 'the new server');
	await s.logged(/redis: it is a read-only replica \(READONLY\)/);
	assert.equal(await next.cli('DBSIZE'), '1');
});

test('a unix socket and another database', async (t) => {
	const { s, redis } = await start(t, { unix: true });
	await s.gateway({ ratelimit: limit(redis, 'database = 3; prefix = "p:"; default = { requests = "2/1h"; };') });
	assert.deepEqual(statuses(await client(s).hammer(5)), { 200: 2, 429: 3 });
	assert.equal(await redis.cli('DBSIZE'), '0');
	assert.match(await redis.cli('-n', '3', 'KEYS', '*'), /^p:default\/ratelimit\/limit:[0-9a-f]{16}:0=alice$/);
});

test('a user with the least rights; a wrong password; a user with less', async (t) => {
	const password = 'canary-6b1f';
	const { s, redis } = await start(t);
	const rights = ['resetkeys', '~merlon:*', 'resetchannels', '-@all', '+auth', '+select', '+evalsha', '+script|load',
		'+time', '+get', '+set', '+del'];
	await redis.cli('ACL', 'SETUSER', 'merlon', 'on', `>${password}`, ...rights);
	await redis.cli('ACL', 'SETUSER', 'less', 'on', `>${password}`, ...rights, '-set');
	await redis.cli('ACL', 'SETUSER', 'default', 'resetpass', '>other');
	const cli = (...args) => redis.cli('-a', 'other', '--no-auth-warning', ...args);
	s.write('password', `${password}\n`);
	const as = (user, secret) => limit(redis, `username = "${user}"; password = "${secret}"; ` +
		'default = { requests = "3/1h"; concurrency = 4; };');
	await s.gateway({ ratelimit: as('merlon', 'file:password') });
	assert.deepEqual(statuses(await client(s).hammer(5)), { 200: 3, 429: 2 });
	await cli('SCRIPT', 'FLUSH');
	assert.deepEqual(statuses(await client(s, 'bob').hammer(5)), { 200: 3, 429: 2 });

	assert.equal((await s.reload({ ratelimit: as('merlon', 'wrong-canary-6b1f') })).code, 0);
	const says = (what) => until(async () => {
		await client(s, 'admin').chat();
		return what.test(s.log());
	}, `the log to say ${what}`);
	await says(/WRONGPASS/);
	assert.equal((await client(s, 'admin').chat()).status, 503);
	assert.equal((await s.reload({ ratelimit: as('less', 'file:password') })).code, 0);
	await says(/NOPERM/);
	assert.equal((await client(s, 'admin').chat()).status, 503);
	// Right again: nothing of it stays.
	assert.equal((await s.reload({ ratelimit: as('merlon', 'file:password') })).code, 0);
	assert.deepEqual(statuses(await client(s, 'admin').hammer(5)), { 200: 3, 429: 2 });

	// P9: the password is in no output.
	const metrics = await (await s.admin('/metrics')).text();
	const shown = [metrics, JSON.stringify(await s.status()), (await s.ctl('stacks')).stdout];
	await s.stop();
	for (const text of [...shown, s.log(), s.read('audit.log')])
		assert.doesNotMatch(text, /canary-6b1f/);
});

test('Redis over TLS: verified, with a certificate of our own; another authority is refused', async (t) => {
	const s = site(t);
	await s.demo();
	await people(s);
	const ours = await new Authority(s, 'ours').create();
	const theirs = await new Authority(s, 'theirs').create();
	const { cert, key } = await ours.issue('redis', { names: 'DNS:redis.test' });
	const own = await ours.issue('gateway');
	const redis = await new Redis(s, { tls: { cert, key, ca: ours.ca }, args: ['--tls-auth-clients', 'yes'] }).start();
	redis.cli = undefined; // without a certificate it would not get in either
	const tls = (ca, name) => `tls = { ca = "${ca}"; server_name = "${name}"; certificate = "${own.cert}"; key = "${own.key}"; }; ` +
		'default = { requests = "3/1h"; };';
	await s.gateway({ ratelimit: limit(redis, tls(ours.ca, 'redis.test')) });
	assert.deepEqual(statuses(await client(s).hammer(5)), { 200: 3, 429: 2 });
	for (const [ca, name] of [[theirs.ca, 'redis.test'], [ours.ca, 'other.test']]) {
		assert.equal((await s.reload({ ratelimit: limit(redis, tls(ca, name)) })).code, 0);
		assert.deepEqual(statuses(await client(s, 'bob').hammer(3)), { 503: 3 });
	}
	assert.equal((await s.reload({ ratelimit: limit(redis, tls(ours.ca, 'redis.test')) })).code, 0);
	assert.deepEqual(statuses(await client(s, 'bob').hammer(5)), { 200: 3, 429: 2 });
});

test('two lines that ask the same server share a connection on each worker', async (t) => {
	const { s, redis } = await start(t);
	const before = await redis.info('total_connections_received');
	await s.gateway({ workers: 1, auth: `${limit(redis, 'count = "denied"; default = { requests = "2/1h"; };')}, ${KEYS}`,
		ratelimit: limit(redis, 'default = { requests = "3/1h"; concurrency = 4; };') });
	assert.deepEqual(statuses(await client(s).hammer(5)), { 200: 3, 429: 2 });
	assert.equal(await redis.info('total_connections_received') - before, 2, 'the gateway, and this redis-cli');
	// What one refuses is none of the other's business: 429 is no refusal of a credential.
	assert.deepEqual(statuses(await client(s, 'bob').hammer(5)), { 200: 3, 429: 2 });
});

test('explain asks nobody', async (t) => {
	const { s, redis } = await start(t);
	await s.gateway({ ratelimit: limit(redis, 'default = { requests = "1/1h"; };') });
	for (let i = 0; i < 3; i++) {
		const r = await ctl(['explain', '-c', s.file('merlon.conf'), '-m', MODULES, '--method', 'GET', '--path', '/v1/models',
			'--header', `Authorization: Bearer ${s.keys.alice}`]);
		assert.equal(r.code, 0, r.stdout + r.stderr);
		assert.match(r.stdout, /redis: not asked/);
	}
	assert.equal(await redis.cli('DBSIZE'), '0');
	assert.deepEqual(statuses(await client(s).hammer(2)), { 200: 1, 429: 1 });
});

// After the greeting: each of these answers something, and none of it may pass for a yes.
const GREETING = '+OK\r\n';
const WRONG = {
	'HTTP': () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
	'an echo': (d) => d,
	'OK': () => '+OK\r\n',
	'nil': () => '$-1\r\n',
	'the answer to another call': () => '*8\r\n:-7\r\n:1\r\n:0\r\n:0\r\n:0\r\n:9\r\n:0\r\n:-1\r\n',
	'two answers to one call': () => '-ERR x\r\n-ERR x\r\n',
	'an endless string': () => `$400000000\r\n${'x'.repeat(300_000)}`,
	'an endless array': () => '*1000000000\r\n',
	'nested arrays': () => '*1\r\n'.repeat(1000),
	'nothing, and the end': () => null,
};
test('a server that is no Redis', async (t) => {
	const { s, redis } = await start(t);
	const model = s.upstream;
	let wrong;
	let calls = 0;
	const port = await s.server((socket) => socket.on('data', (d) => {
		if (/LOAD/.test(d.toString('latin1')))
			return socket.write(GREETING);
		calls++;
		const answer = wrong(d);
		return answer === null ? socket.destroy() : socket.write(answer);
	}));
	s.upstream = model;
	await s.gateway({ workers: 1, ratelimit: limit(redis, 'default = { requests = "100/1h"; };') });
	const liar = { server: `127.0.0.1:${port}` };
	for (const [name, answer] of Object.entries(WRONG)) {
		wrong = answer;
		assert.equal((await s.reload({ ratelimit: limit(liar, 'default = { requests = "100/1h"; };') })).code, 0);
		const before = calls;
		await until(async () => {
			for (const { status } of await client(s, 'alice', 2).hammer(3))
				assert.equal(status, 503, name);
			return calls > before;
		}, `${name} to be asked`);
		// Away from it and back: the next begins with a connection of its own.
		assert.equal((await s.reload({ ratelimit: limit(redis, 'default = { requests = "100/1h"; };') })).code, 0);
		assert.equal((await client(s, 'bob').chat()).status, 200, name);
	}
});

test('a gateway starts without Redis, and finds it when it comes', async (t) => {
	const s = site(t);
	await s.demo();
	await people(s);
	const redis = await new Redis(s).start();
	await redis.kill();
	await s.gateway({ ratelimit: line('ratelimit_redis', 'requisite',
		`server = "${redis.server}"; deadline = "1s"; default = { requests = "3/1h"; };`, 'name = "limit";') });
	assert.equal((await client(s).chat()).status, 503);
	await redis.start();
	await until(async () => (await client(s, 'bob').chat()).status === 200, 'Redis to be found');
	assert.equal((await s.reload({ ratelimit: limit(redis, 'default = { requests = "3/1h"; };') })).code, 0);
	assert.deepEqual(statuses(await client(s).hammer(5)), { 200: 3, 429: 2 });
});
