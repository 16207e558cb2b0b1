// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Bodies around the sizes of blocks and of a turn's reading, in both framings and both directions: what was sent
// arrives before more is sent, so nothing may stay behind for want of what follows.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import net from 'node:net';
import { test } from 'node:test';
import { deferred, site, until, HOST } from './lib.mjs';

const OPEN = { auth: 'none', authz: 'none', workers: 1, rules: '{ path = "*"; action = "read"; }', limits: 'body = "64M";' };
const BLOCK = 16384;
const TURN = 65536;
const SIZES = [BLOCK, 2 * BLOCK, 3 * BLOCK, TURN, 2 * TURN, 8 * TURN].flatMap((n) => [n - 1, n, n + 1]);
const LARGE = crypto.randomBytes(8 * TURN + 1);
const sum = (b) => crypto.createHash('sha256').update(b).digest('hex');

const chunk = (b) => Buffer.concat([Buffer.from(`${b.length.toString(16)}\r\n`), b, Buffer.from('\r\n')]);
const LAST = Buffer.from('0\r\n\r\n');
// The pieces of a body, each as it goes over the wire.
function framed(pieces, chunked) {
	return chunked ? [...pieces.map(chunk), LAST] : pieces;
}
const framing = (pieces, chunked) => (chunked ? 'Transfer-Encoding: chunked'
	: `Content-Length: ${pieces.reduce((n, p) => n + p.length, 0)}`);

// What comes over a socket as heads and bodies; got.body grows as its bytes come.
function reader(socket) {
	const got = { heads: 0, body: 0, hash: crypto.createHash('sha256'), done: false, head: '' };
	let bytes = Buffer.alloc(0);
	let state = 'head';
	let left = 0;
	const take = (n) => {
		const part = bytes.subarray(0, n);
		bytes = bytes.subarray(n);
		return part;
	};
	const line = () => {
		const end = bytes.indexOf('\r\n');
		return end < 0 ? null : take(end + 2).toString('latin1').trim();
	};
	const body = (next) => {
		const part = take(Math.min(left, bytes.length));
		left -= part.length;
		got.body += part.length;
		got.hash.update(part);
		if (left === 0)
			state = next;
		return part.length > 0;
	};
	const finish = () => {
		got.done = true;
		state = 'head';
		got.finished?.();
	};
	const steps = {
		head() {
			const end = bytes.indexOf('\r\n\r\n');
			if (end < 0)
				return false;
			Object.assign(got, { head: take(end + 4).toString('latin1'), body: 0, done: false,
				hash: crypto.createHash('sha256'), heads: got.heads + 1 });
			left = Number(/^content-length: (\d+)/mi.exec(got.head)?.[1] ?? 0);
			const chunked = /^transfer-encoding: chunked/mi.test(got.head);
			if (!chunked && left === 0)
				finish();
			else
				state = chunked ? 'size' : 'body';
			got.begun?.();
			return true;
		},
		body() {
			const more = body('end');
			if (state === 'end')
				finish();
			return more;
		},
		size() {
			const text = line();
			if (text === null)
				return false;
			assert.match(text, /^[0-9a-f]+$/i);
			left = parseInt(text, 16);
			state = left > 0 ? 'chunk' : 'last';
			return true;
		},
		chunk: () => body('behind'),
		behind() {
			if (bytes.length < 2)
				return false;
			assert.equal(take(2).toString(), '\r\n');
			state = 'size';
			return true;
		},
		last() {
			if (line() !== '')
				return false;
			finish();
			return true;
		},
	};
	socket.on('data', (d) => {
		bytes = Buffer.concat([bytes, d]);
		while (bytes.length > 0 && steps[state]())
			;
	});
	return got;
}

// One connection through the gateway, and the one behind it.
async function through(t) {
	const s = site(t);
	const upstream = deferred();
	await s.server((socket) => {
		socket.setNoDelay(true);
		socket.once('data', (d) => {
			// The gateway's own questions are answered at once.
			if (!/^[A-Z]+ \/sizes/.test(d.toString('latin1'))) {
				socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
				return;
			}
			const got = reader(socket);
			upstream.resolve({ socket, got });
			socket.emit('data', d);
		});
	});
	await s.gateway(OPEN);
	const socket = net.connect(s.port, HOST);
	socket.setNoDelay(true);
	s.onEnd(() => socket.destroy());
	return { s, socket, got: reader(socket), upstream: upstream.promise };
}

// Halves of the size, and the whole in one.
const SPLITS = [(n) => [LARGE.subarray(0, n)],
	(n) => [LARGE.subarray(0, n >> 1), LARGE.subarray(n >> 1, n)],
	(n) => [LARGE.subarray(0, Math.min(n, BLOCK)), LARGE.subarray(Math.min(n, BLOCK), n)].filter((p) => p.length)];

// Each size in each split as the body of one message after another, written to `to`; the next piece is written when
// the last has arrived at `got`; both may be promises. head(framing, number) writes what comes before the body,
// behind(number) what comes after the message.
async function pieceByPiece(chunked, { to, got, head, behind }) {
	let messages = 0;
	for (const n of SIZES) {
		for (const split of SPLITS) {
			const pieces = split(n);
			let sent = 0;
			messages++;
			await head(framing(pieces, chunked), messages);
			for (const [i, piece] of framed(pieces, chunked).entries()) {
				(await to).write(piece);
				sent += pieces[i]?.length ?? 0;
				const at = await got;
				await until(() => at.heads === messages && at.body === sent, `${sent} of ${n} bytes`);
			}
			const at = await got;
			await until(() => at.done, `the end of ${n} bytes`);
			assert.equal(at.hash.digest('hex'), sum(LARGE.subarray(0, n)));
			await behind?.(messages);
		}
	}
}

for (const chunked of [false, true]) {
	const how = chunked ? 'chunked' : 'of a known length';
	test(`requests ${how} arrive piece by piece`, async (t) => {
		const { socket, got, upstream } = await through(t);
		await pieceByPiece(chunked, {
			to: socket,
			got: upstream.then((up) => up.got),
			head: (length) => { socket.write(`POST /sizes HTTP/1.1\r\nHost: x\r\n${length}\r\n\r\n`); },
			behind: async (n) => {
				(await upstream).socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
				await until(() => got.heads === n && got.done, 'the answer');
			},
		});
	});

	test(`answers ${how} arrive piece by piece`, async (t) => {
		const { socket, got, upstream } = await through(t);
		await pieceByPiece(chunked, {
			to: upstream.then((up) => up.socket),
			got,
			head: async (length, n) => {
				socket.write('GET /sizes HTTP/1.1\r\nHost: x\r\n\r\n');
				const up = await upstream;
				await until(() => up.got.heads === n, 'the request');
				up.socket.write(`HTTP/1.1 200 OK\r\n${length}\r\n\r\n`);
			},
		});
	});

	test(`a reader that pauses gets an answer ${how} whole`, async (t) => {
		const { socket, got, upstream } = await through(t);
		const pieces = Array.from({ length: 32 }, () => LARGE.subarray(0, 8 * TURN));
		const whole = crypto.createHash('sha256');
		for (const piece of pieces)
			whole.update(piece);
		socket.pause();
		socket.write('GET /sizes HTTP/1.1\r\nHost: x\r\n\r\n');
		const up = await upstream;
		up.socket.write(`HTTP/1.1 200 OK\r\n${framing(pieces, chunked)}\r\n\r\n`);
		for (const piece of framed(pieces, chunked))
			up.socket.write(piece);
		await until(() => up.socket.writableLength > 0 && up.socket.writableNeedDrain, 'the way to be full');
		// Now and then a little.
		socket.on('data', () => {
			socket.pause();
			setImmediate(() => socket.resume());
		});
		socket.resume();
		await until(() => got.done, 'the answer');
		assert.equal(got.body, pieces.length * 8 * TURN);
		assert.equal(got.hash.digest('hex'), whole.digest('hex'));
	});
}
