// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Test data that others wrote, through a running gateway: what is refused is refused cleanly, what is
// carried arrives byte for byte, and each request leaves one line of valid JSON in a chain that holds.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { corpus, line, raw, run, site, statusOf, Site, MERLOND, MODULES } from './lib.mjs';

const FIELDS = ('timestamp seq event request_id user_id org credential auth_method model_id action status reason ' +
	'http_status duration_ms upstream_ms input_hash output_hash input_bytes output_bytes tokens_in tokens_out cost ' +
	'source_ip method path route stack stream generation decisions prev hash').split(' ');

// A generator of its own, so that a failure can be repeated.
function randoms(seed) {
	let x = seed;
	return (n) => {
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		return (x >>> 0) % n;
	};
}

function split(bytes, random, most = 8) {
	const cuts = Array.from({ length: 1 + random(most) }, () => random(bytes.length + 1)).sort((a, b) => a - b);
	const ends = [...cuts, bytes.length];
	return ends.map((end, i) => bytes.subarray(i ? ends[i - 1] : 0, end)).filter((p) => p.length > 0);
}

async function wellAfter(s, n) {
	assert.equal((await s.chat('alice')).status, 200);
	const records = await s.awaitRecords(n + 1);
	for (const r of records)
		assert.deepEqual(Object.keys(r), FIELDS, 'every field is there, in this order');
	assert.deepEqual(records.map((r) => r.seq), records.map((_, i) => i + 1));
	await s.assertChain();
}

const strings = corpus('strings/blns.base64.json');
describe('naughty strings', { skip: strings.skip }, () => {
	const all = strings.skip ? [] : JSON.parse(fs.readFileSync(strings.dir)).map((b) => Buffer.from(b, 'base64'));
	const head = (start, fields = []) => Buffer.concat([Buffer.from(start), Buffer.from('Host: merlon.test\r\n'),
		Buffer.from(`Authorization: Bearer ${s.keys.alice}\r\nConnection: close\r\n`), ...fields, Buffer.from('\r\n')]);
	let s;
	let sent = 0;
	before(async () => {
		s = new Site();
		await s.demo();
		await s.usualKeys();
		await s.gateway();
	});
	after(() => s?.end());

	// Sends one request and says what came of it: the refusal's status, or the head that arrived.
	async function send(bytes) {
		const before = await s.seen();
		const answer = await s.raw(bytes);
		const now = await s.seen();
		sent++;
		const status = statusOf(answer);
		assert.ok(status, `no answer to ${bytes.toString('latin1')}`);
		assert.equal(answer.toString('latin1').match(/^HTTP\/1\.1 /gm).length, 1, 'one answer');
		assert.ok(now.requests - before.requests <= 1);
		return { status, seen: now.requests > before.requests ? now : null };
	}

	test('escaped in the path', async () => {
		let carried = 0;
		for (const text of all) {
			const escaped = [...text].map((b) => `%${b.toString(16).padStart(2, '0')}`).join('');
			const { status, seen } = await send(head(`GET /x/${escaped}/y HTTP/1.1\r\n`));
			if (!seen) {
				assert.equal(status, 400, text.toString());
				continue;
			}
			carried++;
			const target = /^GET (\S+) HTTP\/1\.1\r\n/.exec(seen.head)[1];
			assert.deepEqual(unescape(target), Buffer.from(`/x/${text.toString('latin1')}/y`, 'latin1')
				.toString('latin1'), 'the path arrives as it was meant');
		}
		assert.ok(carried > 200, `only ${carried} were carried`);
	});

	test('bare in the path', async () => {
		for (const text of all) {
			const { status, seen } = await send(head(Buffer.concat([Buffer.from('GET /x/'), text,
				Buffer.from(' HTTP/1.1\r\n')]).toString('latin1')).subarray(0));
			if (!seen)
				assert.ok([400, 505].includes(status), `${status}: ${text}`);
		}
	});

	test('in a header', async () => {
		let carried = 0;
		for (const text of all) {
			const { status, seen } = await send(head('GET /v1/models HTTP/1.1\r\n',
				[Buffer.from('X-Note: <'), text, Buffer.from('>\r\n')]));
			if (!seen) {
				assert.equal(status, 400, text.toString());
				assert.match(text.toString('latin1'), /[\x00-\x08\x0a-\x1f\x7f]/, 'refused without a cause');
				continue;
			}
			carried++;
			assert.ok(seen.head.toLowerCase().includes(`x-note: <${text.toString('latin1')}>\r\n`.toLowerCase()) &&
				seen.head.includes(`<${text.toString('latin1')}>\r\n`), text.toString());
		}
		assert.ok(carried > 450, `only ${carried} were carried`);
	});

	async function post(value) {
		const body = Buffer.from(JSON.stringify(value));
		const { status, seen } = await send(Buffer.concat([head('POST /v1/chat/completions HTTP/1.1\r\n',
			[Buffer.from(`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`)]), body]));
		if (seen)
			assert.equal(seen.body, body.toString('latin1'), 'the body arrives byte for byte');
		return status;
	}

	test('as the model', async () => {
		const names = [];
		for (const text of all.map((b) => b.toString())) {
			const status = await post({ model: text, messages: [] });
			if (status === 200)
				names.push(text);
			else
				assert.equal(status, 400, text);
		}
		assert.ok(names.length > 450, `only ${names.length} were carried`);
		const records = (await s.awaitRecords(sent)).filter((r) => r.method === 'POST' && r.http_status === 200);
		assert.deepEqual(records.map((r) => r.model_id).sort(), names.sort(), 'the record names the model as it was');
	});

	test('as the user of the body', async () => {
		for (const text of all.map((b) => b.toString()))
			assert.equal(await post({ model: 'demo-model', user: text, messages: [{ role: 'user', content: text }] }),
				200, text);
	});

	test('one record a request, and the chain holds', async () => {
		await wellAfter(s, sent);
	});

	test('as the owner of a key', async () => {
		const texts = [...new Set(all.map((b) => b.toString()))];
		const good = (t) => t.length > 0 && Buffer.byteLength(t) <= 256 && !/[\x00-\x1f\x7f]/.test(t);
		const secret = (i) => `imported-key-number-${String(i).padStart(20, '0')}`;
		const entry = (t, i) => JSON.stringify({ id: `key${String(i).padStart(5, '0')}`, sub: t, roles: ['viewer'],
			hashes: [`sha256:${createHash('sha256').update(secret(i)).digest('hex')}`] });
		s.write('bad.jsonl', texts.filter((t) => !good(t)).map(entry).join('\n') + '\n');
		s.write('bad.conf', s.read('merlon.conf').replace('keys.jsonl', 'bad.jsonl'));
		const bad = await run(MERLOND, ['-t', '-c', s.file('bad.conf'), '-m', MODULES]);
		assert.equal(bad.code, 78, 'owners that no record can name plainly are refused');
		assert.match(bad.stderr, /bad\.jsonl:1: /);

		s.write('keys.jsonl', texts.filter(good).map(entry).join('\n') + '\n');
		const r = await s.reload();
		assert.equal(r.code, 0, r.stderr);
		const from = s.records().length;
		for (const i of texts.filter(good).keys()) {
			const answer = await s.request('/v1/models', { headers: { authorization: `Bearer ${secret(i)}` } });
			assert.equal(answer.status, 200, texts.filter(good)[i]);
		}
		const records = (await s.awaitRecords(from + texts.filter(good).length)).slice(from);
		assert.deepEqual(records.map((x) => x.user_id).sort(), texts.filter(good).sort());
		await s.assertChain();
	});
});

const json = corpus('json/parsing');
test('JSON texts as bodies: valid ones pass byte for byte, others never become a whole request',
	{ skip: json.skip }, async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		await s.gateway();
		const random = randoms(20261122);
		const post = (framing, pieces) => s.raw([Buffer.from('POST /v1/chat/completions HTTP/1.1\r\n' +
			`Host: x\r\nConnection: close\r\nAuthorization: Bearer ${s.keys.alice}\r\n${framing}\r\n\r\n`), ...pieces]);
		const chunk = (p) => Buffer.concat([Buffer.from(`${p.length.toString(16)}\r\n`), p, Buffer.from('\r\n')]);
		const wholly = (body) => post(`Content-Length: ${body.length}`, [body]);
		const pieces = (body) => post(`Content-Length: ${body.length}`, split(body, random));
		const chunks = (body) => post('Transfer-Encoding: chunked',
			[...split(body, random).map(chunk), Buffer.from('0\r\n\r\n')]);
		let sent = 0, passed = 0;
		for (const name of fs.readdirSync(json.dir)) {
			const text = fs.readFileSync(path.join(json.dir, name));
			const bodies = [
				['as a value', Buffer.concat([Buffer.from('{"model":"demo-model","x":'), text, Buffer.from('}')])],
				['before the model', Buffer.concat([Buffer.from('{"x":'), text, Buffer.from(',"model":"demo-model"}')])],
				['alone', text],
			];
			for (const [how, body] of bodies) {
				const verdicts = [];
				for (const way of [wholly, pieces, chunks]) {
					const status = statusOf(await way(body));
					sent++;
					verdicts.push(status);
					if (status === 200) {
						passed++;
						assert.equal((await s.seen()).body, body.length < 60_000 ? body.toString('latin1') : '');
					}
				}
				assert.equal(new Set(verdicts).size, 1, `${name} ${how}: ${verdicts} depend on the split`);
				if (name.startsWith('y_') && how !== 'alone')
					assert.equal(verdicts[0], 200, `${name} ${how}`);
				else if (name.startsWith('n_') || how === 'alone')
					assert.equal(verdicts[0], 400, `${name} ${how}`); // alone, no text names a model
				else
					assert.ok([200, 400].includes(verdicts[0]), `${name} ${how}: ${verdicts[0]}`);
			}
		}
		assert.ok(passed > 500);
		assert.equal((await s.seen()).answered, passed, 'the model answered what passed and nothing else');
		await wellAfter(s, sent);
	});

const seeds = corpus('http1-seeds/seeds');
test('HTTP/1 byte streams: the same answers however they are split, and the process stays well',
	{ skip: seeds.skip }, async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		// Half of a connection stays open, so that what a stream means does not depend on when it ends. No
		// deadline helps anybody out of a hang.
		await s.gateway({
			auth: line('auth_apikey', 'optional', 'keys_file = "keys.jsonl";') + ', ' +
				line('test_return', 'required', 'code = "OK";'),
			authz: 'none',
			limits: 'header_timeout = "1h"; idle_timeout = "1h";',
			listen: 'half_close = true;',
		});
		const random = randoms(9112);
		const statuses = (answer) => answer.toString('latin1').match(/^HTTP\/1\.1 \d{3} /gm)?.map((x) => x.slice(9, 12)) ?? [];
		let answers = 0;
		for (const name of fs.readdirSync(seeds.dir)) {
			const bytes = fs.readFileSync(path.join(seeds.dir, name));
			const whole = statuses(await raw(s.port, bytes, { end: true }));
			const parts = statuses(await raw(s.port, split(bytes, random), { end: true }));
			assert.deepEqual(parts, whole, `${name}: the answers depend on the split`);
			assert.ok(whole.every((x) => x === '100' || Number(x) >= 200), name);
			answers += whole.length + parts.length;
		}
		assert.ok(answers > 1000, `only ${answers} answers`);
		assert.equal((await s.chat('alice')).status, 200);
		const records = s.records();
		assert.ok(records.length > 1000);
		await s.assertChain();
	});
