// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// TLS with clients, seen from outside: openssl(1), curl and node as clients.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import { HOST, MERLOND, MODULES, conf, line, raw, run, site, statusOf, until } from './lib.mjs';
import { OPEN, authority, connect, get, listen, metric, own, request, sclient, typed, world } from './tls.mjs';

const HANDSHAKES = (result) => `merlon_tls_handshakes_total{listener="main",result="${result}"}`;

test('only TLS 1.2 and 1.3, forward secrecy and authenticated encryption', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair) });
	for (const version of ['-tls1', '-tls1_1'])
		assert.match((await sclient(s, [version, '-cipher', 'DEFAULT@SECLEVEL=0'])).all, /alert protocol version/);
	for (const cipher of ['AES128-SHA', 'AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-CCM'])
		assert.match((await sclient(s, ['-tls1_2', '-cipher', `${cipher}@SECLEVEL=0`])).all, /handshake failure/);
	for (const group of ['ffdhe2048', 'ffdhe8192', 'X448'])
		assert.match((await sclient(s, ['-tls1_3', '-groups', group])).all, /handshake failure/);
	for (const group of ['X25519', 'P-256', 'P-384'])
		assert.match((await sclient(s, ['-tls1_3', '-groups', group])).all, /New, TLSv1.3/);
	for (const [version, name] of [['-tls1_2', 'TLSv1.2'], ['-tls1_3', 'TLSv1.3']]) {
		const r = await sclient(s, [version, '-CAfile', ca.ca, '-verify_return_error', '-verify_hostname', 'gw.test']);
		assert.match(r.all, new RegExp(`New, ${name}, Cipher is`));
		assert.match(r.all, /Verify return code: 0 \(ok\)/);
		assert.match(r.all, /Compression: NONE|No compression/i);
		assert.match(r.all, /HTTP\/1\.1 404|HTTP\/1\.1 200/);
	}
	assert.equal((await s.reload({ listen: listen(pair, 'min_version = "1.3";') })).code, 0);
	assert.match((await sclient(s, ['-tls1_2'])).all, /alert protocol version/);
	assert.match((await sclient(s, ['-tls1_3'])).all, /New, TLSv1.3/);
	const scan = await run('curl', ['-s', '--cacert', ca.ca, '--resolve', `gw.test:${s.port}:${HOST}`,
		'-o', '/dev/null', '-w', '%{http_code} %{http_version} %{ssl_verify_result}', `https://gw.test:${s.port}/x`]);
	assert.match(scan.stdout, /^\d{3} 1\.1 0$/);
});

test('names choose the certificate, and http/1.1 is all that is spoken', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	const b = await ca.issue('b', { names: 'DNS:b.test,DNS:*.w.test' });
	await s.gateway({ ...OPEN, listen: listen(pair, `certificates = ( { certificate = "${b.cert}"; key = "${b.key}"; } );`) });
	for (const [name, cn] of [['gw.test', 'gw'], ['b.test', 'b'], ['B.TEST', 'b'], ['x.w.test', 'b'],
		['x.y.w.test', 'gw'], ['w.test', 'gw'], ['other.test', 'gw'], ['', 'gw']]) {
		const c = await connect(s, ca, { servername: name, checkServerIdentity: () => {} });
		assert.equal(c.getPeerCertificate().subject.CN, cn, name);
		c.destroy();
	}
	for (const [offer, taken] of [[['h2', 'http/1.1'], 'http/1.1'], [['http/1.1'], 'http/1.1'], [undefined, false]]) {
		const c = await connect(s, ca, { ALPNProtocols: offer });
		assert.equal(c.alpnProtocol, taken);
		c.destroy();
	}
	for (const offer of ['h2', 'http/1.0', 'http/1.1x'])
		assert.match((await sclient(s, ['-alpn', offer])).all, /no application protocol/);
});

test('sessions are resumed, unless client certificates are asked for', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair) });
	const session = s.file('session.pem');
	const again = async (version) => {
		fs.rmSync(session, { force: true });
		assert.match((await sclient(s, [version, '-sess_out', session])).all, /New, TLS/);
		return fs.existsSync(session) ? (await sclient(s, [version, '-sess_in', session])).all : 'New, none';
	};
	for (const version of ['-tls1_2', '-tls1_3'])
		assert.match(await again(version), /Reused, TLS/);
	// No early data is taken, and none is allowed for.
	s.write('early.txt', request('/early'));
	const early = await sclient(s, ['-tls1_3', '-sess_in', session, '-early_data', s.file('early.txt')]);
	assert.doesNotMatch(early.all, /Early data was accepted/);
	assert.match(early.all, /Max Early Data: 0|Early data was not sent|Early data was rejected/);
	// A reload keeps what the listener has given out.
	assert.equal((await s.reload()).code, 0);
	assert.match((await sclient(s, ['-tls1_3', '-sess_in', session])).all, /Reused, TLS/);
	fs.copyFileSync(session, s.file('old.pem'));
	const asks = listen(pair, `client_ca = "${ca.ca}"; client_auth = "optional";`);
	assert.equal((await s.reload({ listen: asks })).code, 0);
	for (const version of ['-tls1_2', '-tls1_3'])
		assert.match(await again(version), /New, /);
	// Nor is what was agreed on before they were.
	assert.match((await sclient(s, ['-tls1_3', '-sess_in', s.file('old.pem')])).all, /New, TLS/);
});

test('nobody renegotiates', async (t) => {
	const s = site(t);
	const { pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair) });
	const shaken = /Verify return code/;
	const all = await typed(s, ['-tls1_2'], [[shaken, 'R\n']]);
	assert.match(all, /RENEGOTIATING[\s\S]*no renegotiation/);
	// A key update is another matter.
	const update = await typed(s, ['-tls1_3'], [[shaken, 'K\n'], [/KEYUPDATE/, request('/x')]]);
	assert.match(update, /KEYUPDATE[\s\S]*HTTP\/1\.1 \d{3}/);
});

test('client certificates: none, optional, required', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	const other = await authority(s, 'other');
	const good = await ca.issue('alice', { names: 'URI:spiffe://acme/alice' });
	const bad = await ca.issue('bob');
	const past = await ca.issue('past', { until: new Date(Date.now() - 60_000) });
	const foreign = await other.issue('mallory');
	await ca.revoke(bad.cert);
	const crl = await ca.crl();
	const curl = async (pairOf, version) => (await run('curl', ['-s', '--cacert', ca.ca, '-o', '/dev/null',
		'-w', '%{http_code}', ...(version ? [version, '--tls-max', version.slice(-3)] : []),
		...(pairOf ? ['--cert', pairOf.cert, '--key', pairOf.key] : []), `https://127.0.0.1:${s.port}/x`])).stdout;
	const ask = (auth) => listen(pair, `client_ca = "${ca.ca}"; client_auth = "${auth}"; crl = "${crl}";`);
	await s.gateway({ ...OPEN, listen: ask('required') });
	for (const version of ['--tlsv1.2', '--tlsv1.3']) {
		assert.match(await curl(good, version), /^[24]/);
		for (const p of [null, bad, past, foreign])
			assert.equal(await curl(p, version), '000');
	}
	await until(async () => await metric(s, HANDSHAKES('failure')) === 8, 'the count of failures');
	assert.equal(await metric(s, HANDSHAKES('success')), 2);
	await s.awaitRecords(2); // a failed handshake is no request
	assert.equal((await s.reload({ listen: ask('optional') })).code, 0);
	for (const p of [good, null])
		assert.match(await curl(p), /^[24]/);
	for (const p of [bad, past, foreign])
		assert.equal(await curl(p), '000');
	assert.equal((await s.reload({ listen: listen(pair) })).code, 0);
	assert.match(await curl(foreign), /^[24]/); // not asked for
});

test('a kept-alive connection loses its identity when its certificate is revoked', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	const alice = await ca.issue('alice', { names: 'URI:spiffe://acme/alice' });
	const bob = await ca.issue('bob', { names: 'URI:spiffe://acme/bob' });
	const tls = () => listen(pair, `client_ca = "${ca.ca}"; client_auth = "required"; crl = "${ca.file('crl.pem')}";`);
	await ca.crl();
	await s.gateway({ listen: tls(), authz: 'none', auth: line('auth_mtls', 'requisite',
		'trust_domain = [ "acme" ]; map = ( { match = "spiffe://acme/*"; sub = "$1"; } );') });
	const agents = [alice, bob].map((p) => new https.Agent({ keepAlive: true, maxSockets: 1, ...own(p) }));
	s.onEnd(() => agents.forEach((a) => a.destroy()));
	const ask = async (i) => (await get(s, '/x', { ca, agent: agents[i] })).status;
	assert.notEqual(await ask(0), 401);
	assert.notEqual(await ask(1), 401);
	await ca.revoke(alice.cert);
	await ca.crl();
	assert.notEqual(await ask(0), 401); // what is on disk counts from the reload on
	assert.equal((await s.reload()).code, 0);
	assert.equal(await ask(0), 401);
	assert.notEqual(await ask(1), 401);
	assert.equal(await metric(s, HANDSHAKES('success')), 2); // over the connections they had
	await assert.rejects(get(s, '/x', { ca, ...own(alice) }));
});

test('a request knows its connection and the certificate behind it', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	const alice = await ca.issue('alice', { names: 'URI:spiffe://acme/alice,URI:https://x.test/,DNS:a.test' });
	const names = ['version', 'cipher', 'server_name', ...['verify', 'subject', 'issuer', 'serial', 'cn', 'fingerprint',
		'uris', 'dns', 'not_after'].map((n) => `client.${n}`)];
	const headers = names.map((n) => `{ name = "T-${n.replace(/[._]/g, '-')}"; value = "tls.${n}"; }`);
	await s.gateway({ ...OPEN, upstream: `identity_headers = ( ${headers.join(', ')} );`,
		listen: listen(pair, `client_ca = "${ca.ca}"; client_auth = "optional";`) });
	const told = async (options) => {
		assert.equal((await get(s, '/x', { ca, ...options })).status, 404);
		const { head } = await s.seen();
		return Object.fromEntries([...head.matchAll(/^T-([^:]+): (.*)\r$/gm)].map((m) => [m[1], m[2]]));
	};
	const x = new X509Certificate(fs.readFileSync(alice.cert));
	assert.deepEqual(await told({ ...own(alice), maxVersion: 'TLSv1.2' }), {
		version: 'TLSv1.2',
		cipher: 'ECDHE-ECDSA-AES256-GCM-SHA384',
		'server-name': 'gw.test',
		'client-verify': 'ok',
		'client-subject': 'CN=alice',
		'client-issuer': 'CN=ca',
		'client-serial': x.serialNumber.toLowerCase(),
		'client-cn': 'alice',
		'client-fingerprint': `sha256:${x.fingerprint256.replaceAll(':', '').toLowerCase()}`,
		'client-uris': 'spiffe://acme/alice,https://x.test/',
		'client-dns': 'a.test',
		'client-not-after': String(Date.parse(x.validTo) / 1000),
	});
	assert.deepEqual(await told({ servername: '', checkServerIdentity: () => {} }),
		{ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' });
});

test('what is not TLS is closed, and half a handshake is not waited for', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair), limits: 'header_timeout = "300ms";' });
	assert.equal(statusOf(await raw(s.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')), 0);
	await raw(s.port, Buffer.alloc(100_000, 0xff));
	await raw(s.port, Buffer.from('16030100', 'hex'));
	await raw(s.port, '');
	const hello = await new Promise((resolve) => { // the first flight of a real client
		const server = net.createServer((c) => c.once('data', (d) => {
			resolve(d);
			c.destroy();
			server.close();
		}));
		server.listen(0, HOST, () => connect({ port: server.address().port }, ca).catch(() => {}));
	});
	await raw(s.port, hello.subarray(0, 60));
	await raw(s.port, hello); // and nothing more
	for (let i = 0; i < 40; i++) {
		const c = net.connect(s.port, HOST, () => c.end(hello.subarray(0, i * 5)));
		c.on('error', () => {});
		await new Promise((resolve) => c.on('close', resolve));
	}
	await until(async () => await metric(s, HANDSHAKES('failure')) === 46, 'all of them to be counted');
	assert.equal((await s.reload({ limits: '' })).code, 0); // time enough on a busy machine
	assert.match(String((await get(s, '/x', { ca })).status), /^[24]/);
	await s.awaitRecords(1);
});

test('large bodies and streams both ways, also with a slow reader', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	const big = Buffer.alloc(6 * 1024 * 1024, 'a');
	let got = 0;
	await s.server((socket) => {
		let head = '';
		let body = 0;
		socket.on('data', (d) => {
			if (!head.includes('\r\n\r\n')) {
				head += d.toString('latin1');
				const at = head.indexOf('\r\n\r\n');
				if (at < 0)
					return;
				body = head.length - at - 4;
			} else {
				body += d.length;
			}
			const want = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
			if (body < want)
				return;
			got = body;
			socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n`);
			socket.write(big);
			head = '';
		});
	});
	await s.gateway({ ...OPEN, listen: listen(pair) });
	const r = await get(s, '/x', { ca, method: 'POST', body: big, headers: { 'content-length': big.length } });
	assert.equal(r.status, 200);
	assert.equal(got, big.length);
	assert.equal(r.text.length, big.length);
	const c = await connect(s, ca);
	c.pause();
	c.write(request('/slow'));
	await s.status(); // so much has happened meanwhile as a command takes
	let n = 0;
	await new Promise((resolve, reject) => {
		c.on('error', reject);
		c.on('end', resolve);
		c.on('data', (d) => {
			n += d.length;
			c.pause();
			setImmediate(() => c.resume());
		});
		c.resume();
	});
	assert.ok(n > big.length);
	c.destroy();
});

test('the proto that is forwarded, and a reader of http/1.0 can tell a whole answer', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair) });
	await get(s, '/x', { ca });
	const { head } = await s.seen();
	assert.match(head, /X-Forwarded-Proto: https\r\n/);
	assert.match(head, /Forwarded: for=127.0.0.1;proto=https\r\n/);
	const old = await sclient(s, ['-tls1_2'], 'GET /x HTTP/1.0\r\n\r\n');
	assert.match(old.all, /HTTP\/1\.[01] \d{3}/);
	assert.doesNotMatch(old.all, /unexpected eof/);
});

test('certificates replaced on disk serve from the next reload, without a failed request', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	await s.gateway({ ...OPEN, listen: listen(pair) });
	const idle = new https.Agent({ keepAlive: true, maxSockets: 1 });
	s.onEnd(() => idle.destroy());
	const first = await get(s, '/x', { ca, agent: idle });
	const before = first.socket.getPeerCertificate().serialNumber;
	let stop = false;
	let served = 0;
	const load = Promise.all([true, false].map(async (keepAlive) => {
		const agent = new https.Agent({ keepAlive });
		while (!stop) {
			assert.match(String((await get(s, '/x', { ca, agent })).status), /^[24]/);
			served++;
		}
		agent.destroy();
	}));
	const serials = new Set([before]);
	for (let i = 0; i < 5; i++) {
		const next = await ca.issue(`gw${i}`, { names: 'DNS:gw.test' });
		fs.renameSync(next.cert, pair.cert);
		fs.renameSync(next.key, pair.key);
		const from = served;
		assert.equal((await s.reload()).code, 0);
		const c = await connect(s, ca);
		serials.add(c.getPeerCertificate().serialNumber);
		c.destroy();
		await until(() => served > from + 3, 'more requests');
	}
	stop = true;
	await load;
	assert.equal(serials.size, 6);
	// The old connection is alive, with what it began with.
	const last = await get(s, '/x', { ca, agent: idle });
	assert.equal(last.socket, first.socket);
	// A failed reload changes nothing.
	fs.copyFileSync(pair.key, s.file('spare.key'));
	fs.writeFileSync(pair.key, 'nothing');
	const r = await s.reload();
	assert.equal(r.code, 1);
	assert.match(r.stderr + r.stdout, /merlon\.conf:2: key: .*gw\.key: holds no private key/);
	assert.match(String((await get(s, '/x', { ca })).status), /^[24]/);
});

test('what is wrong with the files is said by -t, with its line', async (t) => {
	const s = site(t);
	const { ca, pair } = await world(s);
	const other = await ca.issue('other');
	s.write('locked.key', (await run('openssl', ['pkey', '-in', pair.key, '-aes256', '-passout', 'pass:x'])).stdout);
	s.write('open.key', fs.readFileSync(pair.key), 0o644);
	s.o = { ...OPEN, port: 1, admin: 2, servers: [`${HOST}:3`] };
	for (const [listening, upstream, words] of [
		[listen({ ...pair, key: other.key }), '', /merlon\.conf:2: key: .*other\.key: is not the key of .*gw\.pem/],
		[listen({ ...pair, cert: 'none.pem' }), '', /merlon\.conf:2: certificate: .*none\.pem: No such file/],
		[listen({ ...pair, key: 'locked.key' }), '', /key: .*locked\.key: is encrypted/],
		[listen({ ...pair, key: 'open.key' }), '', /key: .*open\.key: is readable by others/],
		[listen(pair, 'client_auth = "required";'), '', /client_auth "required" needs client_ca/],
		[listen(pair, `client_ca = "${pair.key}"; client_auth = "optional";`), '', /client_ca: .*gw\.key: holds no certificate/],
		['', 'tls = { ca = "none.pem"; };', /merlon\.conf:5: ca: .*none\.pem: No such file/],
		['', `tls = { certificate = "${pair.cert}"; key = "${other.key}"; };`, /:5: key: .*other\.key: is not the key/],
	]) {
		s.write('merlon.conf', conf({ ...s.o, listen: listening, upstream }));
		const r = await run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', MODULES]);
		assert.equal(r.code, 78);
		assert.match(r.stderr, words);
	}
	s.write('merlon.conf', conf({ ...s.o, listen: listen(pair), upstream: 'tls = { };' }));
	const good = await run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', MODULES]);
	assert.equal(good.code, 0, good.stderr);
	const shown = await run(MERLOND, ['-T', '-c', s.file('merlon.conf'), '-m', MODULES]);
	assert.match(shown.stdout, /tls = \{ certificate = ".*gw\.pem"; key = ".*gw\.key"; client_auth = "none"; min_version = "1\.2"; \};/);
});
