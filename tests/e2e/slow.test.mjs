// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Slow and greedy peers: whoever holds a connection without using it loses it, a client cannot take all of them,
// and others are served meanwhile.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { deferred, raw, site, statusOf, until, HOST } from './lib.mjs';
import { listen, world } from './tls.mjs';

const OPEN = { auth: 'none', authz: 'none', rules: '{ path = "*"; action = "read"; }' };
const get = (p) => `GET ${p} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

// A connection of a client: what came, and when it ended.
function client(port) {
	const c = { got: Buffer.alloc(0), socket: net.connect(port, HOST), over: false };
	const end = deferred();
	c.ended = end.promise;
	c.socket.on('error', () => {});
	c.socket.on('close', () => {
		c.over = true;
		end.resolve();
	});
	c.socket.on('data', (d) => { c.got = Buffer.concat([c.got, d]); });
	return c;
}
const metric = async (s, name) => Number(new RegExp(`^${name} (\\d+)$`, 'm')
	.exec(await (await s.admin('/metrics')).text())?.[1]);
const connections = async (s) => (await s.status()).connections;

// Every test has this beside it: a client whose requests are all answered.
async function beside(s, work) {
	let on = true;
	let answered = 0;
	const good = (async () => {
		while (on) {
			const r = await s.request('/v1/models');
			assert.equal(r.status, 200, `${r.status} ${r.text}`);
			answered++;
		}
	})();
	try {
		await Promise.race([work(), good]);
	} finally {
		on = false;
		await good;
	}
	assert.ok(answered > 0);
	return answered;
}

test('a body that trickles, byte by byte, ends with 408', async (t) => {
	const s = site(t);
	await s.demo();
	await s.gateway({ ...OPEN, limits: 'idle_timeout = "500ms"; min_rate = "1K";' });
	await beside(s, async () => {
		for (const [framing, byte] of [['Content-Length: 100000', 'x'], ['Transfer-Encoding: chunked', '1\r\nx\r\n']]) {
			const c = client(s.port);
			c.socket.write(`POST /x HTTP/1.1\r\nHost: x\r\n${framing}\r\n\r\n`);
			const timer = setInterval(() => c.socket.write(byte), 20);
			await until(() => c.over || c.got.length > 0, 'the trickle to be ended');
			clearInterval(timer);
			assert.equal(statusOf(c.got), 408, c.got.toString());
			c.socket.destroy();
		}
	});
	await until(() => s.records().filter((r) => r.http_status === 408).length === 2, 'the records');
});

test('a body that is slow but fast enough is served', async (t) => {
	const s = site(t);
	await s.demo();
	await s.gateway({ ...OPEN, limits: 'idle_timeout = "2s"; min_rate = "64";' });
	const c = client(s.port);
	c.socket.write('POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4000\r\n\r\n');
	let sent = 0;
	const timer = setInterval(() => {
		sent += 50;
		c.socket.write('y'.repeat(50));
		if (sent === 4000)
			clearInterval(timer);
	}, 60);
	await c.ended;
	assert.equal(statusOf(c.got), 404, 'the model server\'s own answer');
});

test('a head that trickles ends with 408 at its deadline', async (t) => {
	const s = site(t);
	await s.demo();
	await s.gateway({ ...OPEN, limits: 'header_timeout = "2s"; idle_timeout = "1h";' });
	await beside(s, async () => {
		const c = client(s.port);
		c.socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
		const timer = setInterval(() => c.socket.write('a: b\r\n'), 50);
		await until(() => c.over || c.got.length > 0, 'the head to be ended');
		clearInterval(timer);
		assert.equal(statusOf(c.got), 408);
		c.socket.destroy();
	});
});

test('an address has the connections that it may have, and others have theirs', async (t) => {
	const s = site(t);
	await s.demo();
	await s.gateway({ ...OPEN, limits: 'connections_per_address = 5;' });
	const from = (address) => {
		const c = { socket: net.connect({ port: s.port, host: HOST, localAddress: address }), over: false, got: '' };
		c.socket.on('error', () => {});
		c.socket.on('close', () => { c.over = true; });
		c.socket.on('data', (d) => { c.got += d; });
		c.socket.write('GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n');
		return c;
	};
	const all = Array.from({ length: 20 }, () => from('127.0.0.2'));
	await until(() => all.filter((c) => c.over).length === 15, 'fifteen to be closed');
	const open = all.filter((c) => !c.over);
	await until(() => open.every((c) => c.got.startsWith('HTTP/1.1 200')), 'five to be served');
	assert.ok(all.filter((c) => c.over).every((c) => c.got === ''));
	await until(async () => await metric(s, 'merlon_connections_over_address_limit_total') === 15, 'the count');
	assert.equal((await s.request('/v1/models')).status, 200);

	open[0].socket.destroy();
	await until(async () => {
		const c = from('127.0.0.2');
		await until(() => c.over || c.got !== '', 'an answer or an end');
		c.socket.destroy();
		return c.got !== '';
	}, 'the place to be free again');

	// A proxy stands for many clients.
	const r = await s.reload({ top: 'trusted_proxies = ( "127.0.0.3/32" );' });
	assert.equal(r.code, 0, r.stderr);
	const proxied = Array.from({ length: 20 }, () => from('127.0.0.3'));
	await until(() => proxied.every((c) => c.got.startsWith('HTTP/1.1 200')), 'all of a proxy');
	for (const c of [...all, ...proxied])
		c.socket.destroy();
});

test('out of descriptors: the rest wait, nothing spins, and service goes on', async (t) => {
	const s = site(t);
	await s.demo();
	await s.gateway({ ...OPEN, workers: 1 });
	const pid = s.merlond.pid;
	const used = fs.readdirSync(`/proc/${pid}/fd`).length;
	execFileSync('prlimit', ['--pid', String(pid), `--nofile=${used + 20}:${used + 20}`]);
	const many = Array.from({ length: 200 }, () => client(s.port));
	await until(() => /accept: Too many open files/.test(s.log()), 'the descriptors to run out');
	// Accepting rests for a tenth of a second at a time: over two hundred context switches meanwhile would be a
	// loop that spins. Other threads have their own counts.
	const switches = () => fs.readdirSync(`/proc/${pid}/task`).map((task) =>
		Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))[1]))
		.reduce((a, b) => a + b, 0);
	const ticks = () => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13)
		.map(Number).reduce((a, b) => a + b, 0);
	const before = { switches: switches(), ticks: ticks(), at: process.hrtime.bigint() };
	let turns = 0;
	await until(() => ++turns > 100, 'a second to pass');
	const seconds = Number(process.hrtime.bigint() - before.at) / 1e9;
	assert.ok(ticks() - before.ticks < 30 * seconds, 'a processor was kept busy by nothing');
	assert.ok(switches() - before.switches < 200 * seconds, `${switches() - before.switches} wake-ups in ${seconds} s`);
	many.slice(0, 195).forEach((c) => c.socket.destroy());
	await until(async () => (await raw(s.port, get('/v1/models'))).toString().startsWith('HTTP/1.1 200'), 'service');
	many.forEach((c) => c.socket.destroy());
	// A reload counts again what can be spared.
	const r = await s.reload();
	assert.equal(r.code, 0, r.stderr);
	await s.logged(/limits\.connections = 10000, but of \d+ descriptors clients get no more than \d+/);
});

test('a TLS handshake that trickles ends at the deadline of heads', async (t) => {
	const s = site(t);
	const { pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair),
		limits: 'header_timeout = "500ms"; idle_timeout = "1h";' });
	const c = client(s.port);
	// The head of a record that announces a hello of 512 bytes, then one of its bytes at a time.
	c.socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]));
	const timer = setInterval(() => c.socket.write(Buffer.from([0])), 20);
	await c.ended;
	clearInterval(timer);
	assert.equal(c.got.length, 0);
	await until(async () => (await connections(s)) === 0, 'the connection to be gone');
	assert.deepEqual(s.records(), [], 'a handshake is no request');
});

test('a thousand readers of streams that do not read cost what operations.md says', async (t) => {
	const s = site(t);
	const READERS = 1000;
	let asked = 0;
	const event = `data: ${'x'.repeat(8000)}\n\n`;
	const part = `${event.length.toString(16)}\r\n${event}\r\n`;
	await s.server((socket) => socket.once('data', (d) => {
		if (!d.includes('GET /stream')) {
			socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
			return;
		}
		asked++;
		socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
		// More than the gateway may hold and the kernel takes in its stead.
		socket.write(part.repeat(100));
	}));
	await s.gateway({ ...OPEN, workers: 1, limits: 'idle_timeout = "1h"; connections = 5000;', upstream: 'idle_timeout = "1h";' });
	const pss = () => Number(/^Pss:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${s.merlond.pid}/smaps_rollup`, 'utf8'))[1]) * 1024;
	const before = pss();
	const readers = [];
	for (let i = 0; i < READERS; i++) {
		const socket = net.connect(s.port, HOST);
		socket.on('error', () => {});
		socket.pause();
		socket.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
		readers.push(socket);
	}
	t.after(() => readers.forEach((r) => r.destroy()));
	await until(() => asked === READERS, 'all streams');
	// Full: what the gateway holds no longer grows.
	let last = 0;
	await until(async () => {
		const now = pss();
		const still = now - last < 1024 * 1024;
		last = now;
		await new Promise((resolve) => setTimeout(resolve, 300));
		return still;
	}, 'the queues to be full');
	// Of operations.md: limits.head and 780K for each connection; with a sanitizer some more.
	const each = (last - before) / READERS;
	assert.ok(each < (32 + 780) * 1024, `${Math.round(each / 1024)}K for each`);
	await until(async () => (await connections(s)) >= READERS, 'the count');
	assert.equal((await s.request('/v1/models', { headers: {} }).catch(() => ({ status: 0 }))).status, 200);
	readers.forEach((r) => r.destroy());
	await until(() => s.records().filter((r) => r.status === 'aborted').length >= READERS, 'a record for each');
});

const MODES = { slowloris: ['-H', '-i', '1'], body: ['-B', '-i', '1', '-s', '8192'], range: ['-R', '-a', '10', '-b', '3000'],
	read: ['-X', '-w', '1', '-y', '4', '-n', '1', '-z', '8', '-k', '3'] };
for (const [name, args] of Object.entries(MODES)) {
	test(`slowhttptest, ${name}: everybody else is served`, async (t) => {
		const s = site(t);
		await s.demo();
		await s.gateway({ ...OPEN, limits: 'header_timeout = "2s"; idle_timeout = "2s"; min_rate = "4K";' });
		const p = spawn('slowhttptest', [...args, '-c', '400', '-r', '200', '-l', '6', '-p', '3',
			'-u', `http://${HOST}:${s.port}/v1/models`], { stdio: ['ignore', 'pipe', 'pipe'] });
		t.after(() => p.kill('SIGKILL'));
		let out = '';
		p.stdout.on('data', (d) => { out += d; });
		const over = new Promise((resolve) => p.on('close', resolve));
		// No cap helps here, only deadlines. The good client opens a connection for each request.
		let on = true;
		let answered = 0;
		over.then(() => { on = false; });
		while (on) {
			const status = await new Promise((resolve) => {
				const socket = net.connect({ port: s.port, host: HOST });
				let got = '';
				socket.on('data', (d) => { got += d; });
				socket.on('error', () => {});
				socket.on('close', () => resolve(statusOf(Buffer.from(got))));
				socket.write(get('/v1/models'));
			});
			assert.equal(status, 200, `after ${answered} answers`);
			answered++;
		}
		assert.ok(answered > 20, `only ${answered}`);
		await until(async () => (await connections(s)) === 0, 'its connections to end');
		assert.match(out, /slow HTTP test status/i, out);
	});
}
