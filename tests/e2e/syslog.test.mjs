// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// audit_syslog with a real rsyslogd: what the gateway sent arrives whole over every transport, and what was
// lost is told where it is missing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Authority } from './certificates.mjs';
import { AUDIT, corpus, HOST, line, site, until } from './lib.mjs';
import { Collector, skip } from './rsyslog.mjs';

const syslog = (target, more = '', control = 'optional') =>
	line('audit_syslog', control, `target = "${target}"; hostname = "gw.test"; ${more}`);
const both = (target, more, control) => `${AUDIT}, ${syslog(target, more, control)}`;

async function metric(s, name) {
	const text = await (await s.admin('/metrics')).text();
	return text.split('\n').filter((l) => l.startsWith(name) && /[{ ]/.test(l[name.length]))
		.reduce((sum, l) => sum + Number(l.split(' ').at(-1)), 0);
}

// Every record of the file is among the messages, in full, and nothing else is.
function assertSame(s, messages, n) {
	const records = new Map(s.records().map((r) => [r.request_id, r]));
	assert.equal(messages.length, n);
	assert.equal(records.size, n);
	for (const m of messages) {
		const sent = JSON.parse(m.text);
		const record = records.get(sent.request_id);
		assert.ok(record, `no record of ${sent.request_id}`);
		records.delete(sent.request_id);
		assert.deepEqual(sent, { ...record, seq: null, prev: null, hash: null });
		assert.deepEqual(Object.keys(sent), Object.keys(record));
		assert.equal(m.version, '1');
		assert.equal(m.hostname, 'gw.test');
		assert.equal(m.app, 'merlon');
		assert.equal(m.id, 'audit');
		assert.equal(m.data, '-');
		assert.equal(m.pid, String(s.merlond.pid));
		assert.match(m.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|\+00:00)$/);
		const severity = { success: 6, aborted: 5, limited: 5, denied: 4, error: 3 }[sent.status];
		assert.equal(m.pri, 16 * 8 + severity);
	}
}

describe('audit_syslog', { skip }, () => {
	const strings = corpus('strings');

	for (const [kind, target] of [['unix', (c) => `unix:${c.socket}`], ['stream', (c) => `unix:${c.streamSocket}`],
		['udp', (c) => `udp:${HOST}:${c.udpPort}`], ['tcp', (c) => `tcp:${HOST}:${c.tcpPort}`]]) {
		test(`${kind}: what was sent arrives whole`, async (t) => {
			const s = site(t);
			await s.demo();
			await s.usualKeys();
			const collector = await new Collector(s).create();
			await s.gateway({ audit: both(target(collector)) });
			for (let i = 0; i < 8; i++) {
				await s.chat('alice');
				await s.chat('bob');
				await s.chat(null);
				await s.request(`/models/m${i}`, { headers: s.bearer('admin') });
			}
			await s.raw('GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n');
			await s.awaitRecords(33);
			assertSame(s, await collector.await(kind, 33), 33);
		});
	}

	test('no text of a client breaks a message', { skip: strings.skip }, async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		const collector = await new Collector(s).create();
		await s.gateway({ audit: both(`tcp:${HOST}:${collector.tcpPort}`) });
		const naughty = JSON.parse(fs.readFileSync(path.join(strings.dir, 'blns.base64.json'), 'utf8'))
			.map((x) => Buffer.from(x, 'base64').toString('utf8'));
		assert.ok(naughty.length > 400);
		let n = 0;
		for (const text of naughty) {
			await s.chat('alice', { model: text });
			await s.request(`/models/${encodeURIComponent(text)}`, { headers: s.bearer('admin') });
			n += 2;
		}
		await s.awaitRecords(n);
		assertSame(s, await collector.await('tcp', n), n);
	});

	test('tls: both sides are verified', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		const ours = await new Authority(s, 'ours').create();
		const other = await new Authority(s, 'other').create();
		const server = await ours.issue('collector', { names: 'DNS:logs.test' });
		const client = await ours.issue('gw', { names: 'DNS:gw.test' });
		const collector = await new Collector(s).create({ tls: { ca: ours.ca, ...server }, peers: ['gw.test'] });
		const tls = (ca, name) => `tls = { ca = "${ca}"; certificate = "${client.cert}"; key = "${client.key}"; ` +
			`server_name = "${name}"; };`;
		const target = `tls:${HOST}:${collector.tlsPort}`;
		await s.gateway({ audit: both(target, tls(ours.ca, 'logs.test')) });
		for (let i = 0; i < 20; i++)
			await s.chat(i % 2 ? 'alice' : 'bob');
		await s.awaitRecords(20);
		assertSame(s, await collector.await('tls', 20), 20);

		// A collector that another authority vouches for, or that has another name, is told nothing.
		for (const [more, reason] of [[tls(other.ca, 'logs.test'), /is down.*self-signed certificate/],
			[tls(ours.ca, 'other.test'), /is down.*hostname mismatch/]]) {
			const before = s.log().length;
			assert.equal((await s.reload({ audit: both(target, more) })).code, 0);
			await until(() => reason.test(s.log().slice(before)), 'the refusal');
			assert.equal((await s.chat('alice')).status, 200);
		}
		await s.awaitRecords(22);
		assert.equal((await s.reload({ audit: both(target, tls(ours.ca, 'logs.test')) })).code, 0);
		const last = await s.chat('alice');
		await until(() => collector.messages('tls').some((m) => m.text.includes(last.headers['x-request-id'])),
			'the last message');
		assert.equal(collector.messages('tls').length, 21);
	});

	test('a collector that was away is told what it missed, and how much is lost', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		const collector = await new Collector(s).create();
		await s.gateway({ workers: 1, audit: both(`tcp:${HOST}:${collector.tcpPort}`, 'queue = "64K";') });
		for (let i = 0; i < 5; i++)
			await s.chat('alice');
		await collector.await('tcp', 5);
		await collector.kill();
		await until(async () => await metric(s, 'merlon_stream_up') === 0, 'the end of the connection');
		while (await metric(s, 'merlon_audit_syslog_lost_total') < 20)
			assert.equal((await s.chat('alice')).status, 200);
		await collector.start();
		await until(() => collector.messages('tcp').some((m) => JSON.parse(m.text).event === 'lost'), 'the notice');
		const lost = await metric(s, 'merlon_audit_syslog_lost_total');
		for (let i = 0; i < 5; i++)
			await s.chat('bob');

		const records = await until(() => s.records().filter((r) => r.user_id === 'bob').length === 5 && s.records(),
			'all records');
		const kept = records.length - lost;
		const got = (await collector.await('tcp', kept + 1)).map((m) => JSON.parse(m.text));
		assert.equal(got.length, kept + 1);
		const at = got.findIndex((r) => r.event === 'lost');
		assert.equal(at, kept - 5, 'the notice stands where records are missing');
		assert.equal(got[at].status, 'error');
		assert.equal(got[at].reason, `${lost} records were lost: the queue to the collector was full`);
		const ids = (list) => list.map((r) => r.request_id);
		assert.deepEqual(ids(got.slice(0, at)), ids(records.slice(0, at)));
		assert.deepEqual(ids(got.slice(at + 1)), ids(records.slice(-5)));
		assert.equal(await metric(s, 'merlon_audit_syslog_lost_total'), lost);
	});

	for (const kind of ['stream', 'unix']) {
		test(`${kind}: a collector that stands still delays nobody`, async (t) => {
			const s = site(t);
			await s.demo();
			await s.usualKeys();
			const collector = await new Collector(s).create();
			const target = `unix:${kind === 'unix' ? collector.socket : collector.streamSocket}`;
			await s.gateway({ audit: both(target, 'queue = "16M";', 'required') });
			await s.chat('alice');
			await collector.await(kind, 1);
			collector.child.kill('SIGSTOP');
			// Far more than the kernel keeps for a socket of the file system.
			const long = `/files/${'x'.repeat(2900)}`;
			for (let i = 0; i < 300; i++)
				assert.equal((await s.request(long, { headers: s.bearer('admin') })).status, 404); // the model's own
			await s.awaitRecords(301);
			collector.child.kill('SIGCONT');
			assertSame(s, await collector.await(kind, 301), 301);
		});
	}

	test('a required line refuses before the model is asked, until there is room again', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		const collector = await new Collector(s).create();
		await s.gateway({ workers: 1, audit: both(`unix:${collector.socket}`, 'queue = "64K";', 'required') });
		assert.equal((await s.chat('alice')).status, 200);
		await collector.await('unix', 1);
		await collector.kill();
		let served = 1;
		let r;
		while ((r = await s.chat('alice')).status === 200)
			served++;
		assert.equal(r.status, 503);
		for (let i = 0; i < 30; i++)
			assert.equal((await s.chat('alice')).status, 503);
		const asked = (await s.awaitRecords(served + 31)).filter((x) => x.upstream_ms !== null).length;
		assert.equal(asked, served, 'a refused request reached the model');
		await collector.start();
		await until(async () => (await s.chat('alice')).status === 200, 'requests to be served again');
	});

	test('a reload that changes nothing about it keeps the connection and every record', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		const collector = await new Collector(s).create();
		await s.gateway({ audit: both(`tcp:${HOST}:${collector.tcpPort}`) });
		await until(async () => await metric(s, 'merlon_stream_up') === 2, 'both connections');
		let stop = false;
		let n = 0;
		const load = Promise.all([1, 2, 3, 4].map(async () => {
			while (!stop) {
				n++;
				assert.equal((await s.chat('alice')).status, 200);
			}
		}));
		for (let i = 0; i < 15; i++)
			assert.equal((await s.reload({ top: `# ${i}` })).code, 0);
		stop = true;
		await load;
		await s.awaitRecords(n);
		assertSame(s, await collector.await('tcp', n), n);
		assert.equal(await metric(s, 'merlon_stream_connects_total'), 2);
		assert.equal(await metric(s, 'merlon_audit_syslog_lost_total'), 0);
	});

	test('what the checker says: options, and that nobody is contacted', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		await s.gateway({ audit: both('unix:/nonexistent/log') });
		assert.equal((await s.chat('alice')).status, 200);
		for (const [options, says] of [
			['target = "tcp:host";', /host/], ['target = "tcp:[::1:5";', /\[::1:5/],
			['target = "unix:/x"; format = "cef";', /"cef" is not supported/],
			['target = "unix:/x"; queue = "1K";', /64K\.\.256M/], ['', /target/],
			['target = "tls:h:1"; tls = { ca = "nosuch.pem"; };', /nosuch\.pem/]]) {
			const r = await s.reload({ audit: `${AUDIT}, ${line('audit_syslog', 'optional', options)}` });
			assert.equal(r.code, 1, options);
			assert.match(r.stderr, says);
			assert.match(r.stderr, /merlon\.conf:\d+: /);
		}
	});
});
