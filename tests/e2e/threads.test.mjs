// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// On whose time a reload happens. Nothing of it is timed: a module tells which thread called each of its hooks.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { line, site, until } from './lib.mjs';

test('issue 5: generations are made and freed by the control thread, never by a worker', async (t) => {
	const s = site(t);
	await s.demo();
	await s.usualKeys();
	const told = (round) => line('test_thread', 'required', `path = "${s.file('calls')}"; round = ${round};`);
	await s.gateway({ workers: 2, ratelimit: told(0) });
	let stop = false;
	const clients = Array.from({ length: 4 }, async () => {
		while (!stop)
			assert.equal((await s.chat('alice')).status, 200);
	});
	const reloads = 5;
	for (let i = 1; i <= reloads; i++) {
		const r = await s.reload({ ratelimit: told(i) });
		assert.equal(r.code, 0, r.stderr);
	}
	stop = true;
	await Promise.all(clients);
	await until(async () => (await s.status()).generations === 1, 'old generations to go');

	const calls = fs.readFileSync(s.file('calls'), 'utf8').trim().split('\n').map((l) => l.split(' '));
	const threads = (...hooks) => new Set(calls.filter(([hook]) => hooks.includes(hook)).map(([, thread]) => Number(thread)));
	const count = (hook) => calls.filter(([h]) => h === hook).length;
	const workers = threads('worker_start', 'worker_stop', 'check');
	assert.deepEqual([...threads('create', 'retire', 'destroy')], [s.merlond.pid], 'the first thread is the control thread');
	assert.equal(workers.size, 2);
	assert.ok(!workers.has(s.merlond.pid));
	assert.equal(count('create'), 1 + reloads);
	assert.equal(count('destroy'), reloads, 'every generation but the last has been freed');
	assert.equal(count('retire'), reloads);
	assert.equal(count('worker_stop'), 2 * reloads);
	assert.ok(count('check') > 0);
});
