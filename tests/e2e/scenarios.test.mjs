// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Three things that happen to an organisation, end to end. What is asserted is what the security engineer
// has afterwards: the numbers of the audit log, and a chain that holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { line, site, KEYS, RBAC } from './lib.mjs';
import { Client, count, finalRecords, statuses, why } from './limits.mjs';

const STRANGER = '127.0.0.2';
const limit = (options, name = 'limit') => line('ratelimit_local', 'requisite', options, `name = "${name}";`);
const credential = (key) => key.split('_')[1];

test('a service in a retry loop does not disturb the others', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.key('nightly-batch', '--role', 'analyst', '--org', 'acme', '--tier', 'service');
	await s.gateway({ workers: 2, limits: 'connections = 200;', ratelimit: limit('default = { requests = "60/1h"; }; ' +
		'tiers = ( { tier = "service"; requests = "25/1h"; concurrency = 8; } ); ' +
		'penalty = { after = "10/1m"; block = "30m"; max = "1h"; };') });
	// The service has a bug: whatever it is answered, it asks again at once, over 16 connections.
	const loop = new Client(s, { key: s.keys['nightly-batch'], connections: 16 });
	const people = ['alice', 'admin'].map((name) => new Client(s, { key: s.keys[name], connections: 2 }));
	const [looped, ...others] = await Promise.all([loop.hammer(2000), ...people.map((p) => p.hammer(60))]);
	for (const answers of others)
		assert.deepEqual(statuses(answers), { 200: 60 }, 'the others get all that is theirs');
	const got = statuses(looped);
	assert.equal(got[200] + got[429], 2000);
	assert.ok(got[200] >= 8 && got[200] <= 25, `${got[200]}`);

	const records = await finalRecords(s);
	assert.deepEqual(count(records, (r) => r.user_id), { 'nightly-batch': 2000, alice: 60, admin: 60 });
	const of = (name) => records.filter((r) => r.user_id === name);
	for (const name of ['alice', 'admin'])
		assert.deepEqual(count(of(name), (r) => r.status), { success: 60 });
	const batch = count(of('nightly-batch'), (r) => `${r.status}: ${why(r) ?? ''}`);
	const blocked = batch['limited: blocked'];
	assert.equal(batch['success: '], got[200]);
	// Nine refusals, of the rate or of concurrency, and the tenth begins a block that nothing extends.
	assert.equal((batch['limited: over its rate'] ?? 0) + (batch['limited: too many requests at a time'] ?? 0), 9);
	assert.equal(blocked, 2000 - got[200] - 9);
	assert.equal((await asked(s)), got[200] + 120, 'the model was asked for what is recorded as answered');
	await s.assertChain();
});

// What the demo model has answered in all.
const asked = async (s) => (await s.seen()).requests;

test('a stolen key hammering is stopped at its limit, blocked and visible in the audit log', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const stolen = await s.key('ci-runner', '--role', 'analyst', '--org', 'acme');
	const guard = limit('count = "denied"; default = { requests = "20/1h"; };', 'guard');
	await s.gateway({ workers: 1, auth: `${guard}, ${KEYS}`, ratelimit: limit('default = { requests = "100/1h"; }; ' +
		'penalty = { after = "5/1m"; block = "10m"; max = "1h"; };') });
	const runner = new Client(s, { key: stolen });
	const thief = new Client(s, { from: STRANGER, key: stolen, connections: 16 });
	assert.deepEqual(statuses(await runner.hammer(7)), { 200: 7 }, 'its owner, before');
	const answers = await thief.hammer(1500);
	assert.deepEqual(statuses(answers), { 200: 93, 429: 1407 }, 'stopped at the limit of the key');
	assert.equal(await asked(s), 100);
	const told = answers.filter((a) => a.status === 429).map((a) => a.retryAfter);
	assert.ok(told.every((x) => x >= 1 && x <= 3840));
	assert.equal((await runner.chat()).status, 429, 'the key is blocked, whoever holds it');
	assert.equal((await new Client(s, { from: STRANGER, key: s.keys.alice }).chat()).status, 200, 'the address is not');

	// What the operator does: revokes the key, hands out another, reloads.
	assert.equal((await s.ctl('key', 'revoke', '--keys', s.file('keys.jsonl'), credential(stolen))).code, 0);
	const next = await s.key('ci-runner-2', '--role', 'analyst', '--org', 'acme');
	assert.equal((await s.reload()).code, 0);
	assert.deepEqual(statuses(await new Client(s, { from: STRANGER, key: stolen }).hammer(50)), { 401: 20, 429: 30 });
	assert.equal((await new Client(s, { key: next }).chat()).status, 200);

	const records = await finalRecords(s);
	const theirs = records.filter((r) => r.source_ip.startsWith(STRANGER) && r.user_id === 'ci-runner');
	assert.equal(theirs.length, 1500);
	assert.deepEqual(count(theirs, (r) => `${r.credential} ${r.status} ${why(r)}`), {
		[`${credential(stolen)} success null`]: 93,
		[`${credential(stolen)} limited over its rate`]: 4,
		[`${credential(stolen)} limited blocked`]: 1403,
	});
	// When it began, and from where: the first record of that key from another address.
	const first = records.findIndex((r) => r.user_id === 'ci-runner' && r.source_ip.startsWith(STRANGER));
	assert.equal(first, 7);
	const after = records.filter((r) => r.source_ip.startsWith(STRANGER) && r.user_id !== 'ci-runner');
	assert.deepEqual(count(after, (r) => `${r.http_status} ${r.decisions.length}`), { '200 4': 1, '401 2': 20, '429 1': 30 });
	assert.ok(!s.read('audit.log').includes(stolen), 'the key itself stands nowhere');
	await s.assertChain();
});

test('an insider asking ten thousand times is visible by identity and model', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	await s.key('mallory', '--role', 'analyst', '--org', 'acme', '--team', 'sales');
	await s.gateway({ workers: 2, ratelimit: limit('default = { requests = "20000/1h"; concurrency = 32; };') });
	// Never over a limit, never refused: only the log shows that one person asks for everything.
	const models = { 'customer-churn': 5000, 'salaries-2026': 3000, 'fraud-rules': 1500, 'board-minutes': 499, canary: 1 };
	const wanted = Object.entries(models).flatMap(([model, n]) => Array(n).fill(model));
	assert.equal(wanted.length, 10_000);
	const mallory = new Client(s, { key: s.keys.mallory, connections: 24 });
	const alice = new Client(s, { key: s.keys.alice, connections: 2 });
	const [answers, usual] = await Promise.all([
		mallory.hammer(10_000, (i) => mallory.chat(wanted[(i * 7919) % 10_000])),
		alice.hammer(100, () => alice.chat('customer-churn')),
	]);
	assert.deepEqual(statuses(answers), { 200: 10_000 });
	assert.deepEqual(statuses(usual), { 200: 100 });

	const records = await finalRecords(s);
	assert.equal(records.length, 10_100);
	const by = (name, list = records) => count(list.filter((r) => r.user_id === name), (r) => r.model_id);
	assert.deepEqual(by('mallory'), models);
	assert.deepEqual(by('alice'), { 'customer-churn': 100 });
	assert.ok(records.every((r) => r.status === 'success' && r.action === 'predict' && r.org === 'acme'));
	assert.ok(records.every((r) => r.credential === credential(s.keys[r.user_id])));
	assert.equal(new Set(records.map((r) => r.request_id)).size, 10_100, 'each request once');
	assert.deepEqual(records.map((r) => r.seq), records.map((_, i) => i + 1));
	await s.assertChain();
});
