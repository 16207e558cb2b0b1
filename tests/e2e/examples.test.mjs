// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The configurations for three sizes of organisation, each started as it is shipped, with addresses and names of
// this test's own in place of the example's, and with real parts behind them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Authority } from './certificates.mjs';
import { freePort, run, site, until, HOST, MERLOND, MODULES } from './lib.mjs';
import { PATIENT, Redis } from './redis.mjs';
import { Collector, skip as noSyslog } from './rsyslog.mjs';

const EXAMPLES = path.join(import.meta.dirname, '../../etc/merlon/examples');

// Copies the folder of an example; `changes` are [text, other text], each of which must occur.
function install(s, name, changes) {
	const copy = (from, to) => {
		fs.mkdirSync(to, { recursive: true, mode: 0o700 });
		for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
			const target = path.join(to, entry.name);
			if (entry.isDirectory())
				copy(path.join(from, entry.name), target);
			else
				fs.writeFileSync(target, fs.readFileSync(path.join(from, entry.name)), { mode: 0o600 });
		}
	};
	copy(path.join(EXAMPLES, name), s.dir);
	let text = s.read('merlon.conf');
	for (const [from, to] of changes) {
		assert.ok(text.includes(from), `${name} does not name ${from}`);
		text = text.replaceAll(from, to);
	}
	s.write('merlon.conf', text);
}

async function begin(s, name, changes, { env } = {}) {
	s.o = { port: await freePort(), admin: await freePort() };
	s.port = s.o.port;
	install(s, name, [['127.0.0.1:9180', `${HOST}:${s.o.admin}`], ...changes(s.port)]);
	const t = await run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', MODULES], { env });
	assert.equal(t.code, 0, t.stderr);
	assert.doesNotMatch(t.stdout + t.stderr, /warning/, 'an example has no warnings');
	await s.launch({ env });
}

// A request over TLS, or without; gives status, headers and text.
function ask(s, p, { method = 'GET', headers = {}, body, tls, agent = false } = {}) {
	return new Promise((resolve, reject) => {
		const text = body === undefined ? undefined : JSON.stringify(body);
		const options = { host: HOST, port: s.port, path: p, method, agent, servername: tls ? 'localhost' : undefined,
			headers: { ...headers, ...(text ? { 'content-type': 'application/json',
				'content-length': Buffer.byteLength(text) } : {}) }, ...tls };
		const req = (tls ? https : http).request(options, (res) => {
			const parts = [];
			res.on('data', (d) => parts.push(d));
			res.on('end', () => resolve({ status: res.statusCode, headers: res.headers,
				text: Buffer.concat(parts).toString() }));
		});
		req.on('error', reject);
		req.end(text);
	});
}
const chat = (s, model, more) => ask(s, '/v1/chat/completions', { method: 'POST', ...more,
	body: { model, messages: [{ role: 'user', content: 'hello' }] } });
const bearer = (token) => ({ authorization: `Bearer ${token}` });

// An identity provider: its document, its keys, and tokens that it signs.
class Provider {
	async start(s, { tls, issuer } = {}) {
		const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
		this.key = privateKey;
		this.jwk = { ...await exportJWK(publicKey), kid: 'k1', alg: 'ES256', use: 'sig' };
		const serve = (req, res) => {
			const known = { '/.well-known/openid-configuration': { issuer: this.issuer, jwks_uri: `${this.issuer}/jwks` },
				'/jwks': { keys: [this.jwk] } }[req.url];
			res.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
			res.end(JSON.stringify(known ?? {}));
		};
		const server = tls ? https.createServer(tls, serve) : http.createServer(serve);
		await new Promise((resolve) => server.listen(0, HOST, resolve));
		s.onEnd(() => new Promise((resolve) => {
			server.closeAllConnections();
			server.close(resolve);
		}));
		this.port = server.address().port;
		this.issuer = issuer ?? `http://${HOST}:${this.port}`;
		return this;
	}
	token(claims, { audience = 'models', seconds = 300 } = {}) {
		const now = Math.floor(Date.now() / 1000);
		return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setIssuer(this.issuer)
			.setAudience(audience).setIssuedAt(now).setExpirationTime(now + seconds).sign(this.key);
	}
}

// A model server that remembers the head of the last request.
class Model {
	async start(s, tls) {
		const serve = (req, res) => {
			this.last = req.headers;
			req.resume();
			req.on('end', () => {
				res.writeHead(200, { 'content-type': 'application/json' });
				res.end(JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5 } }));
			});
		};
		const server = tls ? https.createServer(tls, serve) : http.createServer(serve);
		await new Promise((resolve) => server.listen(0, HOST, resolve));
		s.onEnd(() => new Promise((resolve) => {
			server.closeAllConnections();
			server.close(resolve);
		}));
		this.port = server.address().port;
		return this;
	}
}

// The status of each row's request must be what the row says.
async function decide(s, rows, send) {
	for (const [who, what, status, why] of rows) {
		const r = await send(who, what);
		assert.equal(r.status, status, `${why}: ${JSON.stringify(what)} ${r.text}`);
	}
}

// On a fast machine it is the limit of a second that is met, on a slow one that of a minute.
async function goesOn(request) {
	let status = 200;
	for (let i = 0; i < 61 && status === 200; i++)
		({ status } = await request());
	assert.equal(status, 429);
}

test('small: keys and three roles', async (t) => {
	const s = site(t);
	await s.demo();
	const upstream = `${HOST}:${s.upstream}`;
	await s.key('vera', '--role', 'viewer');
	await s.key('dan', '--role', 'developer');
	await s.key('ada', '--role', 'admin');
	await begin(s, 'small', (port) => [['127.0.0.1:8080', `${HOST}:${port}`], ['127.0.0.1:8000', upstream],
		['127.0.0.1:9000', upstream], ['path = "/health"', 'path = "/v1/models"']]);

	await decide(s, [
		['vera', 'chat-small', 403, 'a viewer does not ask'],
		['dan', 'chat-small', 200, 'a developer asks a model of theirs'],
		['dan', 'fraud_secret', 200, 'and another'],
		['dan', 'preview-1', 403, 'but none under test'],
		['ada', 'preview-1', 200, 'an admin asks all'],
	], (who, model) => chat(s, model, { headers: s.bearer(who) }));
	assert.equal((await ask(s, '/v1/models', { headers: s.bearer('vera') })).status, 200);
	assert.equal((await ask(s, '/models/preview-1/predict', { method: 'POST', headers: s.bearer('dan'), body: {} })).status,
		403, 'the scoring service is under the same rules');

	// Twenty guesses from one address, and one more: that address waits, right key or not; others do not notice.
	const from = (address) => ({ 'x-forwarded-for': address });
	for (let i = 0; i < 20; i++)
		assert.equal((await chat(s, 'chat-small', { headers: { ...bearer(`guess-${i}`), ...from('198.51.100.7') } })).status, 401);
	const over = await chat(s, 'chat-small', { headers: { ...bearer('guess'), ...from('198.51.100.7') } });
	assert.equal(over.status, 429);
	assert.ok(Number(over.headers['retry-after']) >= 1);
	assert.equal((await chat(s, 'chat-small', { headers: { ...s.bearer('dan'), ...from('198.51.100.7') } })).status, 429);
	assert.equal((await chat(s, 'chat-small', { headers: { ...s.bearer('dan'), ...from('198.51.100.8') } })).status, 200);
	await s.stop();
	await s.assertChain();
	const seen = s.records().filter((r) => r.source_ip === '198.51.100.7');
	assert.deepEqual([seen.filter((r) => r.http_status === 401).length, seen.filter((r) => r.http_status === 429).length],
		[20, 2]);
});

test('medium: an identity provider, policies over attributes, a limit for each user', async (t) => {
	const s = site(t);
	const idp = await new Provider().start(s);
	const model = await new Model().start(s);
	const ca = await new Authority(s, 'company').create();
	const { cert, key } = await ca.issue('gateway', { names: 'DNS:localhost' });
	fs.mkdirSync(s.file('tls'), { mode: 0o700 });
	fs.copyFileSync(cert, s.file('tls/fullchain.pem'));
	fs.copyFileSync(key, s.file('tls/privkey.pem'));
	await s.key('batch', '--org', 'acme', '--team', 'data_science', '--tier', 'service');
	await begin(s, 'medium', (port) => [['0.0.0.0:8443', `${HOST}:${port}`], ['https://login.example.com', idp.issuer],
		['"10.0.0.11:8000", "10.0.0.12:8000"', `"${HOST}:${model.port}"`]]);

	const tls = { ca: fs.readFileSync(ca.ca) };
	const people = {
		scientist: await idp.token({ sub: 'sam', org: 'acme', team: 'data_science' }),
		stranger: await idp.token({ sub: 'eve', org: 'evil', team: 'data_science' }),
		clerk: await idp.token({ sub: 'cleo', org: 'acme', team: 'office' }),
		wrong: await idp.token({ sub: 'sam', org: 'acme', team: 'data_science' }, { audience: 'elsewhere' }),
		late: await idp.token({ sub: 'sam', org: 'acme', team: 'data_science' }, { seconds: -600 }),
	};
	const as = (who) => ({ tls, headers: who === 'batch' ? s.bearer('batch') : bearer(people[who]) });
	await decide(s, [
		['scientist', 'acme-fraud-2', 200, 'a model of the own organisation'],
		['scientist', 'shared-7', 200, 'a shared one'],
		['stranger', 'acme-fraud-2', 403, 'of another organisation'],
		['stranger', 'shared-7', 200, 'which is for everybody'],
		['clerk', 'acme-fraud-2', 403, 'of the organisation, and not of the team'],
		['batch', 'acme-new', 200, 'a service with a key'],
		['scientist', 'nobody-knows-it', 404, 'not in the catalogue'],
		['wrong', 'acme-fraud-2', 401, 'a token for somebody else'],
		['late', 'acme-fraud-2', 401, 'an old one'],
	], (who, model) => chat(s, model, as(who)));
	const erase = await ask(s, '/v1/models/acme-fraud-2', { method: 'DELETE', ...as('scientist') });
	assert.equal(erase.status, 403, 'nobody deletes what is in production');

	// The model server is told who asked, and never by the client.
	await chat(s, 'acme-new', { tls, headers: { ...bearer(people.scientist), 'x-user': 'root', 'X-Team': 'board' } });
	assert.deepEqual([model.last['x-user'], model.last['x-team'], model.last.authorization],
		['sam', 'data_science', undefined]);

	// Ten in a second, sixty in a minute: whoever goes on is refused, and another user is not.
	await goesOn(() => chat(s, 'shared-7', as('clerk')));
	assert.equal((await chat(s, 'shared-7', as('batch'))).status, 200);
	await s.stop();
	await s.assertChain();
	const records = s.records();
	const refused = records.find((r) => r.user_id === 'eve' && r.http_status === 403);
	const policy = refused.decisions.find((d) => d.module === 'authz_abac');
	assert.equal(policy.code, 'NOCRED');
	const kept = records.find((r) => r.method === 'DELETE');
	assert.match(kept.decisions.find((d) => d.module === 'authz_abac').policy, /^keep-production \(.*abac\.conf:\d+\)$/);
	assert.ok(records.some((r) => r.user_id === 'sam' && r.auth_method === 'oidc' && r.org === 'acme'));
});

// A Redis with TLS and the user that the manual page describes.
async function redis(s, ca) {
	const { cert, key } = await ca.issue('redis', { names: 'DNS:localhost' });
	const server = await new Redis(s, { tls: { cert, key, ca: ca.ca } }).start();
	await server.cli('ACL', 'SETUSER', 'merlon', 'on', '>open-sesame', 'resetkeys', '~merlon:*', 'resetchannels', '-@all',
		'+auth', '+select', '+evalsha', '+script|load', '+time', '+get', '+set', '+del');
	await server.cli('ACL', 'SETUSER', 'default', 'off');
	return server.port;
}

test('large: certificates and a provider, policies in files, Redis and syslog', { skip: noSyslog }, async (t) => {
	const s = site(t);
	const ca = await new Authority(s, 'company').create();
	const pem = (file) => fs.readFileSync(file);
	const server = await ca.issue('gateway', { names: 'DNS:localhost' });
	const outward = await ca.issue('outward', { names: 'DNS:gateway.corp.example' });
	const inner = await ca.issue('inner', { names: 'DNS:localhost' });
	const service = await ca.issue('scoring', { names: 'URI:spiffe://corp.example/team/risk/service/scoring' });
	const secured = { cert: pem(inner.cert), key: pem(inner.key), ca: pem(ca.ca) };
	const idp = await new Provider().start(s, { tls: secured, issuer: 'https://login.corp.example' });
	const model = await new Model().start(s, { ...secured, requestCert: true, rejectUnauthorized: true });
	const redisPort = await redis(s, ca);
	const collector = await new Collector(s).create({ tls: { ca: ca.ca, cert: inner.cert, key: inner.key },
		peers: ['gateway.corp.example'] });
	fs.mkdirSync(s.file('tls'), { mode: 0o700 });
	for (const [from, to] of [[server.cert, 'fullchain.pem'], [server.key, 'privkey.pem'], [outward.cert, 'gateway.pem'],
		[outward.key, 'gateway.key'], [ca.ca, 'company-ca.pem'], [await ca.crl(), 'company-ca.crl']])
		fs.copyFileSync(from, s.file(`tls/${to}`));
	s.write('redis.password', 'open-sesame\n');
	await begin(s, 'large', (port) => [['0.0.0.0:8443', `${HOST}:${port}`],
		['"models-1.internal.example:8443", "models-2.internal.example:8443"', `"localhost:${model.port}"`],
		['login.corp.example:443"', `localhost:${idp.port}"`], ['redis.internal.example:6379', `localhost:${redisPort}`],
		['tls:logs.internal.example:6514', `tls:localhost:${collector.tlsPort}`],
		// Not what a gateway of a company would wait, but the machine may be slow.
		['on_error = "local";', `on_error = "local"; ${PATIENT}`],
		['module = "ratelimit_redis";', 'module = "ratelimit_redis"; timeout = "60s";']]);

	const tls = { ca: pem(ca.ca) };
	const withCertificate = { ...tls, cert: pem(service.cert), key: pem(service.key) };
	const people = {
		user: await idp.token({ sub: 'uma', org: 'corp', team: 'office' }),
		owner: await idp.token({ sub: 'rita', org: 'corp', team: 'risk', groups: ['ml-engineers'] }),
		outsider: await idp.token({ sub: 'otto', org: 'partner' }),
	};
	const as = (who) => (who === 'service' ? { tls: withCertificate } : { tls, headers: bearer(people[who]) });
	await decide(s, [
		['user', 'corp-assistant', 200, 'everybody of the organisation'],
		['user', 'corp-credit-1', 403, 'a credit model is its owner\'s'],
		['owner', 'corp-credit-1', 200, 'and that is this team'],
		['service', 'corp-credit-1', 200, 'a service of that team has a certificate'],
		['outsider', 'corp-assistant', 403, 'of another organisation'],
		['user', 'unheard-of', 404, 'not in the catalogue'],
	], (who, name) => chat(s, name, as(who)));
	assert.equal((await ask(s, '/v1/models/corp-assistant', { method: 'DELETE', ...as('owner') })).status, 403);
	assert.equal((await chat(s, 'corp-assistant', { tls })).status, 401);
	assert.equal((await chat(s, 'corp-assistant', as('service'))).status, 200);
	assert.deepEqual([model.last['x-user'], model.last['x-org']], ['scoring', 'corp']);

	// The limit is the one that Redis keeps.
	const limited = await chat(s, 'corp-assistant', as('user'));
	assert.equal(limited.headers['x-ratelimit-limit-requests'] !== undefined, true);
	await goesOn(() => chat(s, 'corp-assistant', as('user')));
	assert.equal((await chat(s, 'corp-assistant', as('owner'))).status, 200);

	await s.stop();
	await s.assertChain();
	const records = s.records();
	const messages = await collector.await('tls', records.length);
	const told = new Map(messages.map((m) => [JSON.parse(m.text.slice(m.text.indexOf('{'))).request_id, m]));
	for (const r of records)
		assert.ok(told.has(r.request_id), `the collector knows nothing of ${JSON.stringify(r)}`);
	assert.ok(records.some((r) => r.user_id === 'scoring' && r.auth_method === 'mtls'));
	assert.ok(records.some((r) => r.user_id === 'rita' && r.auth_method === 'oidc'));
	assert.ok(!records.some((r) => /locally/.test(JSON.stringify(r.decisions))), 'Redis has answered each time');
});
