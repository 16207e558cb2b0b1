// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The audit log as an auditor gets it. Promise P6: any edit, reorder or loss inside it is found and located.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ctl, site, until } from './lib.mjs';

const verify = (...files) => ctl(['audit', 'verify', ...files]);

describe('the audit log', () => {
	const s = site({ after });
	let good;
	before(async () => {
		await s.demo();
		await s.usualKeys();
		await s.gateway({ workers: 1 });
		for (const [name, model] of [['alice', 'demo-model'], ['bob', 'm2'], ['admin', 'm3'], [null, 'm4'], ['alice', 'm5']])
			await s.chat(name, { model });
		await s.request('/v1/models?secret-query=1', { headers: s.bearer('bob') });
		await s.awaitRecords(6);
		good = s.read('audit.log');
	});

	const tampered = async (bytes) => verify(s.write('bad.log', bytes));

	test('is JSON lines, chained over the exact bytes', async () => {
		let prev = '0'.repeat(64);
		for (const [i, text] of good.trimEnd().split('\n').entries()) {
			const r = JSON.parse(text);
			const [, b, hash] = /^(.*),"hash":"([0-9a-f]{64})"\}$/.exec(text);
			assert.equal(createHash('sha256').update(b).digest('hex'), hash);
			assert.equal(r.prev, prev);
			assert.equal(r.seq, i + 1);
			assert.match(r.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
			prev = hash;
		}
		assert.equal((await verify(s.file('audit.log'))).code, 0);
		const json = await ctl(['--json', 'audit', 'verify', s.file('audit.log')]);
		assert.equal(json.code, 0);
		JSON.parse(json.stdout);
	});

	test('hashes what went both ways', async () => {
		const body = JSON.stringify({ model: 'demo-model', messages: [] });
		const r = await s.request('/v1/chat/completions', { method: 'POST', body,
			headers: { ...s.bearer('alice'), 'content-length': body.length } });
		const record = await s.record(r.headers['x-request-id']);
		const sha = (x) => `sha256:${createHash('sha256').update(x).digest('hex')}`;
		assert.equal(record.input_hash, sha(body));
		assert.equal(record.output_hash, sha(r.text));
		assert.equal(record.input_bytes, body.length);
		assert.equal(record.output_bytes, r.text.length);
		const denied = await s.chat('bob');
		const other = await s.record(denied.headers['x-request-id']);
		assert.equal(other.output_hash, sha(denied.text), 'also of our own answers');
		assert.equal(other.decisions.at(-1).group, 'authz');
		assert.equal(other.decisions.at(-1).code, 'NOCRED');
	});

	test('P6: every flipped bit is found, in its line', async () => {
		// Each byte of three records in the middle, one bit of it: found, and the line is named.
		const bytes = Buffer.from(good);
		const ends = [...good.matchAll(/\n/g)].map((m) => m.index);
		const jobs = [];
		for (let at = ends[1] + 1; at < ends[2]; at += 7)
			jobs.push(at);
		jobs.push(0, 1, bytes.length - 2, bytes.length - 1, ...ends.slice(0, -1));
		for (const [k, at] of jobs.entries()) {
			const copy = Buffer.from(bytes);
			copy[at] ^= 1 << (k % 8);
			const line = good.slice(0, at).split('\n').length;
			const r = await tampered(copy);
			assert.equal(r.code, 1, `byte ${at}: ${r.stdout}`);
			const named = Number(/bad\.log:(\d+): \S/.exec(r.stdout + r.stderr)?.[1]);
			assert.ok(named === line || named === line + 1, `byte ${at} of line ${line}: ${r.stdout}${r.stderr}`);
		}
	});

	test('P6: a lost, repeated, moved, inserted or recomputed record is found', async () => {
		const lines = good.trimEnd().split('\n');
		const join = (list) => `${list.join('\n')}\n`;
		const rehash = (text) => {
			const b = text.replace(/,"hash":"[0-9a-f]{64}"\}$/, '');
			return `${b},"hash":"${createHash('sha256').update(b).digest('hex')}"}`;
		};
		const table = {
			'the first is lost': [lines.slice(1), 1],
			'one is lost': [lines.toSpliced(2, 1), 3],
			'one is repeated': [lines.toSpliced(2, 0, lines[1]), 3],
			'two are swapped': [lines.toSpliced(2, 2, lines[3], lines[2]), 3],
			'one is empty': [lines.toSpliced(2, 0, ''), 3],
			'a foreign line': [lines.toSpliced(2, 0, '{"seq":3}'), 3],
			'an edit with a hash of its own': [lines.toSpliced(2, 1, rehash(lines[2].replace('admin', 'nobod'))), 4],
			'the last is torn': [[...lines.slice(0, -1), lines.at(-1).slice(0, 40)], lines.length],
		};
		for (const [what, [list, line]] of Object.entries(table)) {
			const r = await tampered(join(list));
			assert.equal(r.code, 1, what);
			const named = Number(/bad\.log:(\d+): \S/.exec(r.stdout + r.stderr)?.[1]);
			assert.equal(named, line, `${what}: ${r.stdout}${r.stderr}`);
			const json = await ctl(['audit', 'verify', '--json', s.file('bad.log')]);
			assert.equal(json.code, 1);
			JSON.parse(json.stdout);
		}
		// Until signed checkpoints come, a cut between two records at the end cannot be seen from the file.
		assert.equal((await tampered(join(lines.slice(0, -1)))).code, 0);
		assert.equal((await tampered('')).code, 0, 'nothing has happened yet');
		assert.notEqual((await verify(s.file('nonesuch.log'))).code, 0);
		assert.equal((await ctl(['audit', 'verify'])).code, 64);
	});

	test('P6: several files are one chain in order; --from begins in the middle', async () => {
		const before = s.records().length;
		fs.renameSync(s.file('audit.log'), s.file('audit.log.1'));
		s.merlond.kill('SIGUSR1');
		await until(() => fs.existsSync(s.file('audit.log')), 'the new file');
		await s.chat('alice');
		const [first] = await s.awaitRecords(1);
		assert.equal(first.seq, before + 1, 'the sequence goes on');
		await s.assertChain('audit.log.1', 'audit.log');
		assert.equal((await verify(s.file('audit.log'), s.file('audit.log.1'))).code, 1);
		const alone = await verify(s.file('audit.log'));
		assert.equal(alone.code, 1, 'the second file alone has lost its beginning');
		const from = ['--from', `${first.seq - 1}:${first.prev}`];
		assert.equal((await ctl(['audit', 'verify', ...from, s.file('audit.log')])).code, 0);
		assert.equal((await ctl(['audit', 'verify', '--from', `${first.seq}:${first.prev}`, s.file('audit.log')])).code, 1);
		assert.equal((await ctl(['audit', 'verify', '--from', `${first.seq - 1}:${'0'.repeat(64)}`, s.file('audit.log')])).code, 1);
		assert.equal((await ctl(['audit', 'verify', '--from', 'x', s.file('audit.log')])).code, 64);
	});

	test('the chain goes on over a restart; a torn last line is moved aside and recorded', async () => {
		await s.stop();
		const last = s.records().at(-1);
		fs.appendFileSync(s.file('audit.log'), '{"timestamp":"2026-');
		await s.launch();
		await s.chat('alice');
		const records = await until(() => s.records().length >= 3 && s.records(), 'the records');
		const torn = records.find((r) => r.event === 'torn');
		assert.equal(torn.seq, last.seq + 1);
		assert.equal(torn.prev, last.hash);
		assert.equal(s.read('audit.log.torn'), '{"timestamp":"2026-');
		await s.assertChain('audit.log.1', 'audit.log');
	});

	test('each end has its status', async () => {
		const from = s.records().length;
		await s.raw('BAD\r\n\r\n');
		await s.request('/v1/nonsense', { headers: s.bearer('alice') });
		await s.chat(null);
		await s.chat('bob');
		const records = (await s.awaitRecords(from + 4)).slice(from);
		assert.deepEqual(records.map((r) => [r.http_status, r.status]),
			[[400, 'error'], [404, records[1].status], [401, 'denied'], [403, 'denied']]);
		assert.ok(records.every((r) => r.request_id && r.duration_ms >= 0));
		assert.ok(records.every((r) => r.source_ip === '127.0.0.1'));
	});

	test('P9: no key, header value, body or query string is in it', async () => {
		for (const name of ['audit.log', 'audit.log.1']) {
			const text = s.read(name);
			for (const secret of [s.keys.alice, s.keys.alice.split('_')[2], 'secret-query', 'hello', 'Bearer'])
				assert.ok(!text.includes(secret), secret);
		}
	});
});
