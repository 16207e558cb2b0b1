// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// A model server that lies: about lengths, about ends, about who asked. Whatever it sends, its client gets
// HTTP to the letter or 502, its connection is used again only after a sound answer, and clients of the same
// server get their own answers meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { raw, site, until } from './lib.mjs';
import { bytesOf, mutate, pick, randoms, readResponse, split } from './mutate.mjs';

const CASES = 5_000;
const AT_ONCE = 16;
const POISON = 'poison-poison';

const ok = (fields, body = '') => bytesOf(`HTTP/1.1 200 OK\r\n${fields}\r\n${body}`);
const SOUND = [
	ok('Content-Length: 5\r\n', 'hello'),
	ok('Content-Type: application/json\r\nContent-Length: 59\r\n',
		'{"id":"x","usage":{"prompt_tokens":3,"completion_tokens":4}}'.slice(0, 59)),
	ok('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n'),
	ok('Transfer-Encoding: chunked\r\n', '3;x=y\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n'),
	ok('Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n',
		'13\r\ndata: {"a":1,"b":2}\r\n2\r\n\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n'),
	ok('Connection: close\r\n', 'until the end'),
	ok('Connection: close\r\nContent-Length: 4\r\n', 'last'),
	ok('', 'until the end'),
	bytesOf('HTTP/1.1 204 No Content\r\n\r\n'),
	bytesOf('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'),
	bytesOf('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'),
	bytesOf('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}'),
	bytesOf('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}'),
	bytesOf('HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nbad'),
];
const EXTRA = [
	(r) => ok(`Content-Length: ${POISON.length}\r\n`, POISON), // a second answer
	() => bytesOf(POISON),
	() => bytesOf('\r\n'),
	() => bytesOf('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
];
const LIES = [
	() => bytesOf('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
	(r) => bytesOf('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1 + r(300)) + 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'),
	(r) => bytesOf(`HTTP/1.1 200 OK\r\n${'X-Endless: header\r\n'.repeat(50 + r(200))}Content-Length: 2\r\n\r\n{}`),
	(r) => bytesOf(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(60_000 + r(100_000))}\r\nContent-Length: 2\r\n\r\n{}`),
	(r) => ok('Transfer-Encoding: chunked\r\n', `1;${'e'.repeat(1 + r(20_000))}\r\na\r\n`.repeat(1 + r(5)) + '0\r\n\r\n'),
	(r) => ok('Transfer-Encoding: chunked\r\n', `0\r\n${'T: x\r\n'.repeat(1 + r(3000))}\r\n`),
	() => ok('Content-Length: 2\r\nTransfer-Encoding: chunked\r\n', '2\r\n{}\r\n0\r\n\r\n'),
	() => ok('Content-Length: 2\r\nContent-Length: 3\r\n', '{}x'),
	() => ok('Content-Length: 9999999\r\n', 'short'),
	() => ok('Transfer-Encoding: chunked\r\n', 'ffffffff\r\nshort'),
	() => bytesOf(''),
];

// One thing that a server might send, and whether it closes after it.
function answer(random) {
	const kind = random(10);
	let bytes = kind < 2 ? pick(random, LIES)(random) : kind < 9 ? mutate(pick(random, SOUND), random) : pick(random, SOUND);
	if (random(3) === 0)
		bytes = Buffer.concat([bytes, pick(random, EXTRA)(random)]);
	return { bytes, close: random(2) === 0 };
}

// Interim answers first, then the final one.
function reference({ bytes, close }, method) {
	let at = 0;
	for (;;) {
		const r = readResponse(bytes, { at, method });
		if (r.fault || r.cut || r.status >= 200)
			return { ...r, cut: r.cut || (r.untilClose && !close) };
		at = r.end;
	}
}

test('thousands of lies of a model server: sound HTTP or 502, nothing pooled, nobody else touched', async (t) => {
	const s = site(t);
	const random = randoms(20261205);
	const cases = Array.from({ length: CASES }, () => answer(random));
	const spoilt = [];
	let sockets = 0;

	// A connection is spoilt when what went over it was anything but one sound answer that keeps it open. That it
	// closes later cannot be known when it is used again.
	await s.server((socket) => {
		const id = sockets++;
		let bad = null;
		let bytes = '';
		socket.setNoDelay(true);
		socket.on('data', async (d) => {
			bytes += d.toString('latin1');
			for (let end; (end = bytes.indexOf('\r\n\r\n')) >= 0;) {
				const [, method, target] = /^([A-Z]+) (\S+) /.exec(bytes);
				bytes = bytes.slice(end + 4);
				if (bad !== null)
					spoilt.push(`connection ${id}: ${target} after case ${bad}: ` +
						JSON.stringify(cases[bad].bytes.toString('latin1').slice(-300)) + cases[bad].close);
				const good = /^\/good\/(\d+)$/.exec(target);
				if (good) {
					socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${good[1].length}\r\n\r\n${good[1]}`);
					continue;
				}
				const n = Number(target.slice('/case/'.length));
				const r = reference(cases[n], method);
				if (r.fault || r.cut || r.close || r.end !== cases[n].bytes.length)
					bad = n;
				// What comes behind a whole answer comes with its end: later, it would be the answer to whoever asks
				// next, as far as anybody can tell.
				const whole = r.fault || r.cut ? cases[n].bytes.length : Math.max(r.end - 1, 0);
				const pieces = split(cases[n].bytes.subarray(0, whole), randoms(n + 1));
				for (const piece of [...pieces, cases[n].bytes.subarray(whole)]) {
					socket.write(piece);
					await new Promise((next) => setImmediate(next));
				}
				if (cases[n].close)
					socket.end();
			}
		});
	});
	await s.gateway({ workers: 2, auth: 'none', authz: 'none', rules: '{ path = "*"; action = "read"; }',
		upstream: 'first_byte_timeout = "300ms"; idle_timeout = "300ms"; keep_alive = "60s";' });

	const tally = { whole: 0, cut: 0, refused: 0, down: 0 };
	let next = 0;
	let asked = 0;
	async function victim() {
		while (next < CASES)
			await one(next++);
	}
	async function one(n, again = 3) {
		asked++;
		const method = n % 7 ? 'GET' : 'HEAD';
		const got = await raw(s.port, `${method} /case/${n} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
		const what = () => `case ${n}: ${JSON.stringify(cases[n].bytes.toString('latin1').slice(0, 500))} became ` +
			JSON.stringify(got.toString('latin1').slice(0, 500));
		const r = readResponse(got, { method });
		const sent = reference(cases[n], method);
		assert.equal(r.fault, undefined, what());
		assert.match(got.toString('latin1'), /^HTTP\/1\.1 \d{3} [A-Z][^\r]*\r\n/, what());
		assert.ok(r.cut || r.end === got.length, `bytes behind the answer: ${what()}`);
		assert.equal(r.all('x-request-id').length, 1, what());
		const own = r.all('content-type')[0] === 'application/problem+json';
		if (own && r.status === 503) {
			// Three faults in a row took the server away for a second: this case comes again.
			tally.down++;
			await until(async () => {
				asked++;
				return (await s.request('/good/0')).status === 200;
			}, 'the server to be tried again');
			await one(n);
		} else if (own && [502, 504].includes(r.status)) {
			tally.refused++;
			assert.ok(!r.cut, what());
		} else if (r.cut) {
			// Endless trailers and chunk extensions have their ceilings, sound or not.
			const sound = !sent.cut && !sent.fault && cases[n].bytes.length <= 4096;
			const late = sound && /upstream_timeout/.test((await s.record(r.all('x-request-id')[0])).reason);
			assert.ok(!sound || (late && again > 0), `a sound answer was cut: ${what()}`);
			// A busy machine may not write it all in time: once more.
			if (late)
				await one(n, again - 1);
			else
				tally.cut++;
		} else {
			tally.whole++;
			assert.ok(!sent.fault && !sent.cut, `made whole what was not: ${what()}`);
			assert.equal(r.status, sent.status, what());
			if (method !== 'HEAD')
				assert.equal(r.body, sent.body, what());
		}
	}
	// Beside them a client that behaves, over connections that it keeps.
	let good = 0;
	async function bystander(from) {
		for (let i = from; next < CASES; i += 2, good++) {
			const r = await s.request(`/good/${i}`);
			if (r.status === 200)
				assert.equal(r.text, String(i), 'the answer of somebody else');
			else
				assert.ok([502, 503, 504].includes(r.status), `${r.status} ${r.text}`); // 504: a busy machine
		}
	}
	await Promise.all([...Array.from({ length: AT_ONCE }, victim), bystander(0), bystander(1)]);
	assert.deepEqual(spoilt.slice(0, 5), [], 'a connection was used again after an answer that was not clean');
	assert.ok(tally.whole > CASES / 5 && tally.refused > CASES / 5 && tally.cut > 100 && good > 100,
		`${JSON.stringify(tally)}, ${good} good`);
	const records = await s.awaitRecords(asked + good);
	assert.equal(records.filter((r) => r.path.startsWith('/case/') && r.status === 'success').length, tally.whole);
	await s.assertChain();
});
