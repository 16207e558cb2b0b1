// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// TLS with model servers: whom the gateway takes for its server, and what it goes on with.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { rawNames } from './certificates.mjs';
import { HOST, freePort, site, until } from './lib.mjs';
import { OPEN, authority, own } from './tls.mjs';

// A model server over TLS: counts connections, those resumed, and requests.
async function model(s, options, answer) {
	const seen = { connections: 0, resumed: 0, requests: 0, client: '' };
	const server = https.createServer({ keepAliveTimeout: 60_000, ...options }, answer ?? ((req, res) => {
		seen.requests++;
		seen.client = req.socket.getPeerCertificate?.()?.subject?.CN ?? '';
		req.resume();
		req.on('end', () => res.end('{}'));
	}));
	const sockets = new Set();
	server.on('secureConnection', (c) => {
		seen.connections++;
		seen.resumed += c.isSessionReused() ? 1 : 0;
		sockets.add(c);
	});
	await new Promise((resolve) => server.listen(0, HOST, resolve));
	s.onEnd(() => new Promise((resolve) => {
		server.closeAllConnections();
		server.close(resolve);
	}));
	seen.server = server;
	seen.hangUp = () => sockets.forEach((c) => c.destroy());
	s.upstream = server.address().port;
	seen.port = s.upstream;
	return seen;
}

const to = (ca, more = '') => `tls = { ca = "${ca.ca}"; server_name = "model.test"; ${more} };`;

test('a server is who its certificate says, by alternative names alone', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const other = await authority(s, 'other');
	const day = 86400_000;
	const good = await ca.issue('good', { names: 'DNS:model.test' });
	const table = [
		[await ca.issue('b', { names: 'DNS:b.test' }), 'hostname mismatch'],
		[await ca.issue('cn', { cn: 'model.test' }), 'hostname mismatch'],
		[await ca.issue('nul', { names: rawNames(['dns', 'model.test\0.evil']) }), 'hostname mismatch'],
		[await ca.issue('past', { names: 'DNS:model.test', until: new Date(Date.now() - day / 48) }), 'certificate has expired'],
		[await other.issue('foreign', { names: 'DNS:model.test' }), 'unable to get local issuer certificate'],
		[{ cert: other.ca, key: other.file('ca.key') }, 'self-signed certificate'],
	];
	const seen = await model(s, own(good));
	await s.gateway({ ...OPEN, workers: 1, upstream: to(ca) });
	assert.equal((await s.request('/x')).status, 200);
	for (const [pair, why] of table) {
		seen.hangUp();
		seen.server.setSecureContext(own(pair));
		const before = seen.requests;
		const r = await s.request('/x');
		assert.ok([502, 503].includes(r.status), `${why}: ${r.status}`);
		assert.equal(seen.requests, before, why);
		await until(() => s.log().includes(why), why);
		const record = await s.record(r.headers['x-request-id']);
		assert.match(record.reason, /upstream_(tls|down)/);
		assert.equal(record.status, 'error');
		seen.server.setSecureContext(own(good));
		await until(async () => (await s.request('/x')).status === 200, 'the server to be up again');
	}
});

test('the name is that of the server unless another one is set; authorities are the system\'s unless set', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const pair = await ca.issue('ip', { names: `IP:${HOST},DNS:localhost` });
	const asked = [];
	await model(s, { ...own(pair), SNICallback: (name, done) => {
		asked.push(name);
		done(null, null);
	} });
	await s.gateway({ ...OPEN, upstream: `tls = { ca = "${ca.ca}"; };` });
	assert.equal((await s.request('/x')).status, 200);
	assert.deepEqual(asked, []); // an address is not asked for
	assert.equal((await s.reload({ servers: [`localhost:${s.upstream}`] })).code, 0);
	assert.equal((await s.request('/x')).status, 200);
	assert.deepEqual(asked, ['localhost']);
	assert.equal((await s.reload({ upstream: 'tls = { };' })).code, 0);
	assert.equal((await s.request('/x')).status, 502);
	await s.stop();
	await s.launch({ env: { SSL_CERT_FILE: ca.ca } });
	assert.equal((await s.request('/x')).status, 200);
});

test('the gateway shows a certificate where it has one', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const pair = await ca.issue('model', { names: 'DNS:model.test' });
	const ours = await ca.issue('gateway');
	const seen = await model(s, { ...own(pair), ca: fs.readFileSync(ca.ca), requestCert: true, rejectUnauthorized: true });
	await s.gateway({ ...OPEN, workers: 1, upstream: to(ca) });
	assert.equal((await s.request('/x')).status, 502);
	assert.equal(seen.requests, 0);
	await s.logged(/TLS failed upstream=llm server=127\.0\.0\.1:\d+: .*certificate/);
	const with_ = to(ca, `certificate = "${ours.cert}"; key = "${ours.key}";`);
	assert.equal((await s.reload({ upstream: with_ })).code, 0);
	assert.equal((await s.request('/x')).status, 200);
	assert.equal(seen.client, 'gateway');
});

test('connections and sessions are kept: by reloads that change nothing, not by those that do', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const pair = await ca.issue('model', { names: 'DNS:model.test' });
	const seen = await model(s, own(pair));
	await s.gateway({ ...OPEN, workers: 1, upstream: `keep_alive = "1h"; ${to(ca)}` });
	for (let i = 0; i < 3; i++)
		assert.equal((await s.request('/x')).status, 200);
	assert.equal(seen.connections, 1);
	assert.equal((await s.reload()).code, 0);
	assert.equal((await s.request('/x')).status, 200);
	assert.equal(seen.connections, 1);
	seen.hangUp();
	assert.equal((await s.request('/x')).status, 200);
	assert.deepEqual([seen.connections, seen.resumed], [2, 1]);
	// The file has other authorities: nothing that the old ones vouched for is used.
	const other = await authority(s, 'other');
	fs.appendFileSync(ca.ca, fs.readFileSync(other.ca));
	assert.equal((await s.request('/x')).status, 200);
	assert.equal(seen.connections, 2);
	assert.equal((await s.reload()).code, 0);
	assert.equal((await s.request('/x')).status, 200);
	assert.deepEqual([seen.connections, seen.resumed], [3, 1]);
	fs.copyFileSync(other.ca, ca.ca);
	assert.equal((await s.reload()).code, 0);
	assert.equal((await s.request('/x')).status, 502);
	assert.equal(seen.connections, 3);
	// Another set of settings beside it is another pool.
	assert.equal((await s.reload({ upstream: to(ca, '') })).code, 0);
	assert.equal((await s.request('/x')).status, 502);
});

test('a server that is not TLS, says nothing, or breaks off', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const pair = await ca.issue('model', { names: 'DNS:model.test' });
	let plain = 0;
	await s.server((c) => {
		c.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
		c.on('data', (d) => { plain += d.includes('GET') ? 1 : 0; });
	});
	await s.gateway({ ...OPEN, workers: 1, upstream: `connect_timeout = "300ms"; ${to(ca)}` });
	assert.equal((await s.request('/x')).status, 502);
	assert.equal(plain, 0);
	await s.logged(/TLS failed .*wrong version number/);
	await s.server(() => {});
	assert.equal((await s.reload({ servers: [`${HOST}:${s.upstream}`] })).code, 0);
	assert.equal((await s.request('/x')).status, 504);
	// An answer that ends with the connection is whole only where the end is said.
	let cut = false;
	let answered = false;
	const text = 'half'.repeat(10_000);
	const server = tls.createServer(own(pair), (c) => {
		c.on('error', () => {});
		c.once('data', () => {
			answered = true;
			c.write('HTTP/1.1 200 OK\r\n\r\n' + text);
			if (!cut)
				c.end();
		});
	});
	await new Promise((resolve) => server.listen(0, HOST, resolve));
	s.onEnd(() => new Promise((resolve) => server.close(resolve)));
	// Between the two stands somebody who ends the connection behind the answer.
	await s.server((c) => {
		const behind = net.connect(server.address().port, HOST);
		let passed = 0;
		answered = false;
		behind.on('error', () => {});
		behind.on('close', () => c.end());
		behind.on('data', (d) => {
			c.write(d);
			passed += answered ? d.length : 0;
			if (cut && passed > text.length)
				c.end();
		});
		c.on('data', (d) => behind.write(d));
		c.on('close', () => behind.destroy());
	});
	assert.equal((await s.reload({ servers: [`${HOST}:${s.upstream}`] })).code, 0);
	const whole = await s.request('/x');
	assert.deepEqual([whole.status, whole.text], [200, text]);
	cut = true;
	await assert.rejects(s.request('/x'), /aborted|hang up|ECONNRESET/);
	const records = await s.awaitRecords(4);
	assert.match(records[3].reason, /upstream_closed/);
});

test('another server is tried while no byte of the request has left', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const wrong = await ca.issue('wrong', { names: 'DNS:wrong.test' });
	const right = await ca.issue('right', { names: 'DNS:model.test' });
	const bad = await model(s, own(wrong));
	const good = await model(s, own(right));
	await s.gateway({ ...OPEN, workers: 1, upstream: to(ca), servers: [`${HOST}:${bad.port}`, `${HOST}:${good.port}`] });
	for (let i = 0; i < 20; i++)
		assert.equal((await s.request('/predict', { method: 'POST', body: '{}',
			headers: { 'content-type': 'application/json' } })).status, 200);
	assert.deepEqual([bad.requests, good.requests], [0, 20]);
});

test('large bodies both ways, and active checks', async (t) => {
	const s = site(t);
	const ca = await authority(s);
	const pair = await ca.issue('model', { names: 'DNS:model.test' });
	const big = Buffer.alloc(5 * 1024 * 1024, 'b');
	let got = 0;
	let checks = 0;
	await model(s, own(pair), (req, res) => {
		checks += req.url === '/healthy' ? 1 : 0;
		req.on('data', (d) => { got += d.length; });
		req.on('end', () => res.end(req.method === 'POST' ? big : ''));
	});
	await s.gateway({ ...OPEN, upstream: `${to(ca)} health = { path = "/healthy"; interval = "100ms"; };` });
	const r = await s.request('/x', { method: 'POST', body: big, headers: { 'content-length': big.length } });
	assert.equal(r.status, 200);
	assert.equal(r.text.length, big.length);
	assert.equal(got, big.length);
	assert.ok(checks > 0);
	const closed = await freePort(); // nobody is there: no matter of TLS
	assert.equal((await s.reload({ servers: [`${HOST}:${closed}`], upstream: to(ca) })).code, 0);
	assert.equal((await s.request('/x')).status, 502);
});
