// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The same bytes and two readers of them: what a model server behind the gateway counts as requests is what the
// gateway has audited, whatever the clients send. The servers are node's parser, nginx and HAProxy.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { corpus, raw, site, until } from './lib.mjs';
import { bytesOf, mutate, pick, randoms, split } from './mutate.mjs';
import { haproxyServer, lenientServer, nginxServer, nodeServer } from './servers.mjs';

const STREAMS = 10_000;
const AT_ONCE = 24;

const SOUND = [
	'GET /a HTTP/1.1\r\nHost: x\r\n\r\n',
	'GET /a?q=1&b=%20 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nX-Note: one\r\n\r\n',
	'HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n',
	'POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc',
	'POST /b%20c/d HTTP/1.1\r\nHost: x:80\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"model":"m\\"1"}',
	'POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
	'POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\na\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n',
	'PUT /d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello',
	'DELETE /e HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n\r\n',
	'GET http://x/abs HTTP/1.1\r\nHost: x\r\n\r\n',
	'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
	'GET /old HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n',
	'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 28\r\n\r\n{"model":"m","messages":[] }',
].map(bytesOf);

// A mutated stream, with sound requests before and behind it so that a byte too many or too few is noticed.
function stream(random, seeds) {
	const seeded = seeds.length > 0 && random(3) === 0;
	const middle = mutate(seeded ? pick(random, seeds) : pick(random, SOUND), random);
	const before = random(2) ? [pick(random, SOUND)] : [];
	const behind = random(4) ? [bytesOf('GET /behind HTTP/1.1\r\nHost: x\r\n\r\n')] : [];
	return Buffer.concat([...before, middle, ...behind]);
}

const plain = (r) => `${r.method} ${r.target} ${r.bytes}`;
const count = (list) => list.reduce((m, k) => m.set(k, (m.get(k) ?? 0) + 1), new Map());
function differences(a, b) {
	const x = count(a);
	const y = count(b);
	return [...new Set([...a, ...b])].filter((k) => x.get(k) !== y.get(k))
		.map((k) => `${JSON.stringify(k)}: ${x.get(k) ?? 0} and ${y.get(k) ?? 0}`);
}

const seeds = corpus('http1-seeds/seeds');
function loadSeeds() {
	return fs.readdirSync(seeds.dir).map((n) => fs.readFileSync(path.join(seeds.dir, n)))
		.map((b) => (b.includes('--MARK--') ? b.subarray(0, b.indexOf('--MARK--')) : b))
		.filter((b) => b.length > 0 && b.length < 4096);
}

async function differential(t, start, seed) {
	const s = site(t);
	const server = await start(s);
	await s.gateway({ auth: 'none', authz: 'none', listen: 'half_close = true;',
		limits: 'header_timeout = "1h"; idle_timeout = "1h";' });
	const random = randoms(seed);
	const list = loadSeeds();
	const streams = Array.from({ length: STREAMS }, () => stream(random, list));
	const cuts = streams.map((b) => split(b, random));
	let next = 0;
	let answered = 0;
	async function client() {
		while (next < cuts.length) {
			const got = await raw(s.port, cuts[next++], { end: true });
			answered += (got.toString('latin1').match(/HTTP\/1\.1 [2-5]\d\d /g) ?? []).length;
		}
	}
	await Promise.all(Array.from({ length: AT_ONCE }, client));

	await s.stop(); // every record is in the file then
	const records = s.records();
	assert.equal(records.length, answered, 'a record for each answer');
	const passed = records.filter((r) => r.upstream_ms !== null);
	const whole = passed.filter((r) => r.status === 'success' && r.http_status === 200);
	// A server may be stricter than the gateway about a field; that is one request to both of them.
	const refused = passed.filter((r) => r.status === 'success' && r.http_status !== 200);
	assert.ok(refused.length < STREAMS / 500, `the model server refused ${refused.length} requests`);
	assert.ok(whole.length > STREAMS / 2, `only ${whole.length} requests reached the model server`);
	assert.ok(records.length - passed.length > STREAMS / 10, 'too few were refused for this to say anything');
	const seen = await until(() => {
		const all = server.requests();
		return all.filter((r) => r.whole).length >= whole.length && all;
	}, 'the model server to have counted');

	assert.equal(server.bad(), 0, 'the model server could not read what it was sent');
	assert.ok(seen.every((r) => r.id || !r.whole), 'a request that the gateway did not make');
	const strip = (r) => ({ method: r.method, target: r.target.split('?')[0], bytes: r.bytes });
	const audited = (r) => ({ method: r.method, target: r.path, bytes: r.input_bytes });
	assert.deepEqual(differences(seen.filter((r) => r.whole).map((r) => plain(strip(r))),
		whole.map((r) => plain(audited(r)))), [], 'seen and audited differ');
	// What was not whole was never taken for a request that was, and is on record too.
	const known = count(passed.map((r) => r.request_id));
	for (const [id, n] of count(seen.filter((r) => r.id).map((r) => r.id)))
		assert.ok((known.get(id) ?? 0) >= n, `${id} was counted ${n} times and audited ${known.get(id) ?? 0} times`);
	await s.assertChain();
}

test('node counts what was audited, for 10,000 mutated streams', { skip: seeds.skip }, (t) =>
	differential(t, nodeServer, 20261201));
test('node, made lenient, counts what was audited, for 10,000 mutated streams', { skip: seeds.skip }, (t) =>
	differential(t, lenientServer, 20261204));
test('nginx counts what was audited, for 10,000 mutated streams', { skip: seeds.skip }, (t) =>
	differential(t, nginxServer, 20261202));
test('HAProxy counts what was audited, for 10,000 mutated streams', { skip: seeds.skip }, (t) =>
	differential(t, haproxyServer, 20261203));
