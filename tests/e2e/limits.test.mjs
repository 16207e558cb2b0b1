// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Limits as clients meet them: what passes under concurrency, whom a penalty blocks and for how long, and
// lines that count refusals alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ctl, line, site, until, HOST, KEYS, RBAC } from './lib.mjs';
import { Client, count, finalRecords, statuses, why } from './limits.mjs';

const OTHER = '127.0.0.2';
const limit = (options, control = 'requisite', name = 'limit') =>
	line('ratelimit_local', control, options, `name = "${name}";`);

test('P10: 64 clients at once get exactly the limit, over workers and connections', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ workers: 2, ratelimit: limit('default = { requests = "100/1h"; burst = "70/30m"; };') });
	const clients = Array.from({ length: 64 }, () => new Client(s, { key: s.keys.alice }));
	const answers = (await Promise.all(clients.map((c) => c.hammer(4)))).flat();
	assert.deepEqual(statuses(answers), { 200: 70, 429: 186 });
	assert.equal((await s.seen()).requests, 70);
	for (const a of answers.filter((x) => x.status === 429))
		assert.ok(a.retryAfter >= 1 && a.retryAfter <= 1920, `${a.retryAfter}`);
	// What was refused charged nothing: with a larger burst, the rest of the other window passes.
	assert.equal((await s.reload({ ratelimit: limit('default = { requests = "100/1h"; burst = "700/30m"; };') })).code, 0);
	const rest = (await Promise.all(clients.map((c) => c.hammer(2)))).flat();
	assert.deepEqual(statuses(rest), { 200: 30, 429: 98 });
});

test('a key that goes on after refusals is blocked, each time for twice as long', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ ratelimit: limit('default = { requests = "1000/1m"; }; ' +
		'overrides = ( { key = "alice"; requests = "0/1s"; } ); penalty = { after = "2/1m"; block = "1s"; max = "4s"; };') });
	const alice = new Client(s, { key: s.keys.alice });
	const told = [];
	// Two refusals begin a block: the second is told of its whole length.
	await until(async () => {
		const { status, retryAfter, headers } = await alice.chat();
		assert.equal(status, 429);
		assert.equal(headers['x-should-retry'], undefined);
		told.push(retryAfter);
		return told.includes(4);
	}, 'the third block');
	assert.deepEqual(told.filter((x, i) => x > (told[i - 1] ?? 0)), [1, 2, 4]);
	assert.equal((await new Client(s, { key: s.keys.admin }).chat()).status, 200, 'others are not meant');
	assert.equal((await s.seen()).requests, 1);
	const records = (await finalRecords(s)).filter((r) => r.user_id === 'alice');
	assert.equal(records.length, told.length);
	assert.equal(records.filter((r) => why(r) === 'over its rate').length, 3, 'one refusal before each block');
	assert.equal(records.filter((r) => why(r) === 'blocked').length, told.length - 3);
	assert.ok(records.every((r) => r.status === 'limited' && r.http_status === 429));
	await s.assertChain();
});

test('a block outlives a reload, and ends when its window is changed', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const punished = (after, requests = 2) =>
		limit(`default = { requests = "${requests}/1h"; }; penalty = { after = "${after}"; block = "10m"; };`);
	await s.gateway({ ratelimit: punished('3/1m') });
	const alice = new Client(s, { key: s.keys.alice });
	const answers = await alice.hammer(5);
	assert.deepEqual(answers.map((a) => a.status), [200, 200, 429, 429, 429]);
	assert.equal(answers[4].retryAfter, 600);
	assert.equal((await s.reload({ ratelimit: punished('9/1m', 500) })).code, 0);
	const blocked = await alice.chat();
	assert.equal(blocked.status, 429);
	assert.ok(blocked.retryAfter > 60 && blocked.retryAfter <= 600);
	assert.equal(blocked.headers['x-ratelimit-remaining-requests'], '0');
	const r = await s.reload({ ratelimit: punished('9/2m', 500) });
	assert.equal(r.code, 0);
	assert.match(r.stdout + r.stderr, /limit/, 'the operator is told of the empty zone');
	assert.equal((await alice.chat()).status, 200);
});

test('who guesses keys is stopped by address, and the keys are not looked at any more', async (t) => {
	const s = site(t);
	// A model that answers what it is told to.
	await s.server((socket) => socket.on('data', (d) => {
		const text = d.toString('latin1');
		if (/^[A-Z]+ \/\S* HTTP/.test(text))
			socket.write(`HTTP/1.1 ${/^x-answer: (\d+)/im.exec(text)?.[1] ?? 200} X\r\nContent-Length: 2\r\n\r\n{}`);
	}));
	await s.usualKeys();
	const guard = limit('count = "denied"; default = { requests = "5/1h"; };', 'requisite', 'guard');
	await s.gateway({ workers: 1, auth: `${guard}, ${KEYS}` });
	const thief = new Client(s, { from: OTHER, key: 'mrl_guess' });
	const alice = new Client(s, { key: s.keys.alice });
	const near = new Client(s, { from: OTHER, key: s.keys.alice });
	// Who is let in collects nothing, however often; nor does what the model or the grammar refuses.
	assert.deepEqual(statuses(await near.hammer(20)), { 200: 20 });
	for (const status of [401, 403, 429])
		assert.equal((await near.request('/v1/models', { headers: { 'x-answer': `${status}` } })).status, status);
	assert.equal((await near.request('/nonesuch/x%00')).status, 400);
	assert.deepEqual((await thief.hammer(9)).map((a) => a.status), [401, 401, 401, 401, 401, 429, 429, 429, 429]);
	const last = await thief.chat();
	assert.ok(last.retryAfter >= 3600 && last.retryAfter <= 3840, `${last.retryAfter}`);
	assert.equal(last.headers['x-ratelimit-remaining-requests'], '0');
	assert.equal(last.headers['www-authenticate'], undefined);
	assert.equal((await near.chat()).status, 429, 'a good key from there is not told apart: it is not looked at');
	assert.equal((await alice.chat()).status, 200, 'other addresses are served');
	assert.equal((await alice.chat()).headers['x-ratelimit-limit-requests'], undefined, 'nor told of it');
	const records = (await finalRecords(s)).filter((r) => r.source_ip.startsWith(OTHER));
	const limited = records.filter((r) => r.status === 'limited' && r.http_status === 429 && r.decisions.length === 1);
	assert.equal(limited.length, 6);
	for (const r of limited) {
		assert.deepEqual(r.decisions.map((d) => [d.group, d.line, d.code]), [['auth', 'guard', 'LIMITED']]);
		assert.equal(why(r), 'too many refused requests');
		assert.equal(r.user_id, null);
	}
	await s.assertChain();
});

test('addresses of one IPv6 network collect together', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const guard = limit('count = "denied"; default = { requests = "3/1h"; };', 'requisite', 'guard');
	await s.gateway({ workers: 1, auth: `${guard}, ${KEYS}`, top: `trusted_proxies = [ "${HOST}/32" ];` });
	const client = new Client(s);
	const guess = (from) => client.chat('m', { headers: { 'x-forwarded-for': from, authorization: 'Bearer nothing' } });
	const codes = [];
	for (const from of ['2001:db8::1', '2001:db8::2:3', '2001:db8::ffff:ffff:ffff:ffff', '2001:db8::4', '2001:db8:0:1::1',
		'192.0.2.1', '192.0.2.2'])
		codes.push((await guess(from)).status);
	assert.deepEqual(codes, [401, 401, 401, 429, 401, 401, 401]);
});

test('a credential that collects refusals is stopped first in authz', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const guard = limit('key = "id.credential"; count = "denied"; default = { requests = "3/1h"; }; ' +
		'penalty = { after = "2/1h"; block = "2h"; max = "2h"; };', 'requisite', 'guard');
	await s.gateway({ workers: 1, authz: `${guard}, ${RBAC}` });
	const bob = new Client(s, { key: s.keys.bob }); // a viewer: may read, not predict
	const answers = await bob.hammer(8, (i) => (i === 0 ? bob.request('/v1/models') : bob.chat()));
	assert.deepEqual(answers.map((a) => a.status), [200, 403, 403, 403, 429, 429, 429, 429]);
	assert.equal(answers[5].retryAfter, 7200, 'blocked');
	assert.equal((await bob.request('/v1/models')).status, 429, 'whatever it asks for');
	assert.equal((await new Client(s, { key: s.keys.alice }).chat()).status, 200);
	assert.deepEqual(statuses(await new Client(s, { key: 'nothing' }).hammer(9)), { 401: 9 }, 'others never come so far');
	const records = (await finalRecords(s)).filter((r) => r.user_id === 'bob');
	assert.deepEqual(count(records, (r) => `${r.status} ${r.status === 'limited' ? why(r) : ''}`),
		{ 'success ': 1, 'denied ': 3, 'limited too many refused requests': 1, 'limited blocked': 4 });
});

// What is under way is not counted yet: the limit is passed by that at most, and concurrency bounds it.
test('P10: refusals that come all at once pass the limit by the concurrency at most', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const guard = limit('count = "denied"; default = { requests = "10/1h"; concurrency = 4; };', 'requisite', 'guard');
	await s.gateway({ workers: 2, auth: `${guard}, ${KEYS}` });
	const thieves = Array.from({ length: 64 }, () => new Client(s, { key: 'nothing' }));
	const answers = (await Promise.all(thieves.map((c) => c.hammer(6)))).flat();
	const { 401: told, 429: limited } = statuses(answers);
	assert.equal(told + limited, 384);
	assert.ok(told >= 10 && told <= 13, `${told}`);
});

test('explain charges nothing', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ ratelimit: limit('default = { requests = "1/1h"; }; penalty = { after = "1/1h"; block = "1h"; };') });
	for (let i = 0; i < 3; i++) {
		const r = await ctl(['explain', '-c', s.file('merlon.conf'), '-m', process.env.MERLON_MODULES, '--method', 'GET',
			'--path', '/v1/models', '--header', `Authorization: Bearer ${s.keys.alice}`]);
		assert.equal(r.code, 0, r.stdout + r.stderr);
	}
	assert.equal((await new Client(s, { key: s.keys.alice }).chat()).status, 200);
});
