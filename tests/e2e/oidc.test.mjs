// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// auth_oidc with a real identity provider: tokens as it gives them, rotation under load, and what happens
// while it is away, slow or lying.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Authority } from './certificates.mjs';
import { line, run, site, until, HOST, KEYS as APIKEY, MERLOND, MODULES } from './lib.mjs';
import { AUDIENCE, bearer, DOCUMENT, Idp, KEYS, load, signingKey } from './oidc.mjs';

const CLAIMS = 'claims = { roles = "realm_access.roles"; };';
// The machine may be slow, so a test that is not about the timeout has a long one.
const oidc = (idp, more = '', control = 'requisite', keys = 'timeout = "60s";') => line('auth_oidc', control,
	`issuer = "${idp.issuer}"; audience = "${AUDIENCE}"; ${CLAIMS} ${more}`, keys);

async function world(t, { options = '', start = true, ...o } = {}) {
	const s = site(t);
	const idp = await new Idp(s).start();
	await s.demo();
	await s.usualKeys();
	if (!start)
		await idp.stop();
	await s.gateway({ auth: oidc(idp, options), ...o });
	return { s, idp };
}
const ask = (s, token, more = {}) => s.chat(null, { headers: token ? bearer(token) : {}, ...more });
const challenge = (r) => r.headers['www-authenticate'];

async function metric(s, name) {
	const text = await (await s.admin('/metrics')).text();
	return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

test('P11: tokens of the provider are good, and others are not', async (t) => {
	const s = site(t);
	const idp = await new Idp(s).start();
	await s.demo();
	await s.usualKeys();
	await s.gateway({ auth: `${oidc(idp, '', 'sufficient')}, ${APIKEY}` });
	const token = await idp.token();

	const r = await ask(s, token);
	assert.equal(r.status, 200, r.text);
	const record = await s.record(r.headers['x-request-id']);
	assert.equal(record.user_id, 'alice');
	assert.equal(record.org, 'acme');
	assert.equal(record.auth_method, 'oidc');
	assert.match(record.credential, /^oidc:[0-9a-f]{16}$/);

	const streamed = await ask(s, token, { stream: true });
	assert.equal(streamed.status, 200);
	assert.ok(streamed.text.endsWith('data: [DONE]\n\n'));
	assert.equal((await s.chat('bob')).status, 403); // an API key still is one; bob may not predict
	assert.equal((await s.chat('alice')).status, 200);
	assert.equal((await ask(s, null)).status, 401);

	const refusals = [
		['another audience', await idp.token('urn:other'), 'the token is for another audience'],
		['expired', await idp.forge({ exp: Math.floor(Date.now() / 1000) - 61 }), 'the token has expired'],
		['no exp', await idp.forge({ exp: undefined }), 'the token has no exp'],
		['not yet', await idp.forge({ nbf: Math.floor(Date.now() / 1000) + 120 }), 'the token is not valid yet'],
		['no subject', await idp.forge({ sub: undefined }), 'the token has no subject'],
		['roles of another type', await idp.forge({ realm_access: { roles: 'x', a: 1 }, org: 7 }),
			"the token's organisation is not text"],
		['signed by another key', await idp.forge({}, { key: signingKey(), kid: idp.keys[0].kid }), null],
	];
	for (const [what, bad, why] of refusals) {
		const answer = await ask(s, bad);
		assert.equal(answer.status, 401, what);
		assert.match(challenge(answer), /error="invalid_token"/, what);
		if (why)
			assert.ok(challenge(answer).includes(`error_description="${why}"`), `${what}: ${challenge(answer)}`);
	}
	const expired = await ask(s, refusals[1][1]);
	assert.match(expired.text, /the token has expired/);
	assert.equal((await s.record(expired.headers['x-request-id'])).decisions.at(-1).code, 'EXPIRED');

	// Another issuer's token is not this line's: the API key line has the last word.
	const foreign = await ask(s, await idp.forge({ iss: 'https://other.example' }));
	assert.equal(foreign.status, 401);
	const codes = (await s.record(foreign.headers['x-request-id'])).decisions.map((d) => d.code);
	assert.deepEqual(codes, ['NOCRED', 'NOCRED']);

	// Nothing of a token is anywhere.
	const metrics = await (await s.admin('/metrics')).text();
	for (const text of [s.log(), metrics, s.read('audit.log')]) {
		for (const part of [token, ...refusals.map((x) => x[1])].flatMap((x) => x.split('.').slice(1)))
			assert.ok(!text.includes(part));
	}
	assert.match(metrics, /^merlon_auth_oidc_fetches_total\{result="changed"\} 1$/m);
	assert.equal(idp.count(DOCUMENT), 1);
	assert.equal(idp.count(KEYS), 1);
});

test('several issuers are several lines, and each has its own', async (t) => {
	const s = site(t);
	const [staff, partners, stranger] = [await new Idp(s).start(), await new Idp(s).start(), await new Idp(s).start()];
	await s.demo();
	await s.gateway({ auth: `${oidc(staff, '', 'sufficient', 'name = "staff";')}, ` +
		line('auth_oidc', 'requisite', `issuer = "${partners.issuer}"; audience = "${AUDIENCE}"; ` +
			'claims = { sub = "client_id"; roles = "realm_access.roles"; };', 'name = "partners";') });
	const codes = async (token, status) => {
		const r = await ask(s, token);
		assert.equal(r.status, status, r.text);
		return (await s.record(r.headers['x-request-id'])).decisions.filter((d) => d.group === 'auth').map((d) => d.code);
	};
	assert.deepEqual(await codes(await staff.token(), 200), ['OK']);
	assert.deepEqual(await codes(await partners.token(), 200), ['NOCRED', 'OK']);
	assert.deepEqual(await codes(await stranger.token(), 401), ['NOCRED', 'NOCRED']);
	// One issuer's name with another one's key.
	assert.deepEqual(await codes(await partners.forge({ iss: staff.issuer }), 401), ['BADCRED']);
	// One of them is away: that is not the other's affair.
	await staff.stop();
	await s.reload({ limits: 'idle_timeout = "31s";' });
	assert.deepEqual(await codes(await partners.token(), 200), ['NOCRED', 'OK']);
	assert.equal(stranger.count(KEYS), 0);
});

test('roles of the token decide, and scopes are only told', async (t) => {
	const { s, idp } = await world(t);
	idp.claims = { realm_access: { roles: ['viewer'] } };
	assert.equal((await ask(s, await idp.token())).status, 403);
	idp.claims = {};
	assert.equal((await ask(s, await idp.token())).status, 403);
	idp.claims = { realm_access: { roles: ['analyst'] } };
	assert.equal((await ask(s, await idp.token())).status, 200);
});

test('the provider rotates its keys under load, and no request fails', async (t) => {
	const { s, idp } = await world(t, { options: 'min_refresh = "1s";' });
	let token = await idp.token();
	const l = load(s, 8, () => token);
	await l.more(200);
	let keys = idp.keys;
	for (let i = 0; i < 3; i++) {
		const before = await metric(s, 'merlon_auth_oidc_fetches_total{result="changed"}');
		const added = signingKey(i % 2 ? 'RS256' : 'ES256');
		idp.rotate([added, keys[0]]);
		token = await idp.token();
		await l.more(200);
		assert.equal(await metric(s, 'merlon_auth_oidc_fetches_total{result="changed"}'), before + 1);
		keys = [added];
		const asked = Date.now();
		await until(() => Date.now() - asked > 1100, 'min_refresh, after which the next key may be asked for');
	}
	await l.end();
	assert.deepEqual(l.errors, []);
	assert.equal(idp.count(KEYS), 4);
	assert.equal(idp.count(DOCUMENT), 1);
});

test('by default too, the first new key is asked for at once', async (t) => {
	const { s, idp } = await world(t);
	const old = await idp.token();
	assert.equal((await ask(s, old)).status, 200);
	idp.rotate([signingKey()]);
	assert.equal((await ask(s, await idp.token())).status, 200);
	// The old one is gone with its tokens, although they were remembered; and nobody is asked again.
	assert.equal((await ask(s, old)).status, 401);
	idp.rotate([signingKey()]);
	assert.equal((await ask(s, await idp.token())).status, 401);
	assert.equal(idp.count(KEYS), 2);
});

test('a thousand unknown keys at once lead to one fetch', async (t) => {
	const { s, idp } = await world(t);
	const good = await idp.token();
	assert.equal((await ask(s, good)).status, 200);
	const other = signingKey('ES256');
	const bad = await Promise.all(Array.from({ length: 1000 }, (_, i) => idp.forge({}, { key: other, kid: `k${i}` })));
	idp.answers[KEYS] = (req, res, next) => setTimeout(next, 100);
	const answers = await Promise.all(bad.map((token) => ask(s, token)));
	assert.ok(answers.every((r) => r.status === 401));
	assert.equal(idp.count(KEYS), 2);
	assert.equal((await ask(s, good)).status, 200);
});

test('a provider that is away: its keys stay, but not for ever', async (t) => {
	const { s, idp } = await world(t, { options: 'max_stale = "4s"; refresh = "1s";' });
	const token = await idp.token();
	assert.equal((await ask(s, token)).status, 200);
	await idp.stop();
	assert.equal((await ask(s, token)).status, 200);
	const stale = await until(async () => {
		const r = await ask(s, token);
		assert.ok(r.status === 200 || r.status === 503, `${r.status} ${r.text}`);
		return r.status === 503 && r;
	}, 'the keys to become too old');
	assert.ok(Number(stale.headers['retry-after']) >= 1);
	assert.equal((await s.record(stale.headers['x-request-id'])).decisions[0].code, 'UNAVAIL');
	await s.logged(/keys cannot be fetched; the last ones stay in use/);
	await idp.start();
	await until(async () => (await ask(s, token)).status === 200, 'its return');
	await s.logged(/answers again/);
});

test('a provider that starts later is found by itself', async (t) => {
	const { s, idp } = await world(t, { start: false });
	const key = idp.keys[0];
	const token = await idp.forge({}, { key });
	assert.equal((await ask(s, token)).status, 503);
	await idp.start();
	await until(async () => (await ask(s, token)).status === 200, 'the keys');
});

test('a slow provider holds up who needs it, and nobody else', async (t) => {
	const s = site(t);
	const idp = await new Idp(s).start();
	const held = [];
	idp.answers['*'] = (req, res, next) => held.push(next);
	await s.demo();
	await s.usualKeys();
	await s.gateway({ auth: `${oidc(idp, '', 'sufficient', 'timeout = "300ms";')}, ${APIKEY}` });
	const token = await idp.token();
	const r = await ask(s, token);
	assert.equal(r.status, 503);
	assert.equal((await s.record(r.headers['x-request-id'])).decisions[0].code, 'TIMEOUT');
	assert.equal((await s.chat('alice')).status, 200);
	delete idp.answers['*'];
	held.splice(0).forEach((go) => go());
	await until(async () => (await ask(s, token)).status === 200, 'the keys');
	assert.ok(await metric(s, 'merlon_auth_oidc_fetches_total{result="changed"}') === 1);
});

test('a provider that lies changes nothing', async (t) => {
	const { s, idp } = await world(t, {
		options: 'refresh = "1s"; min_refresh = "1s"; max_stale = "1h"; fetch_timeout = "500ms";' });
	const token = await idp.token();
	assert.equal((await ask(s, token)).status, 200);
	const text = (status, type, body) => (req, res) => {
		res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
		res.end(body);
	};
	const other = signingKey();
	const evil = JSON.stringify({ keys: [{ kty: 'RSA', n: other.n, e: other.e, kid: other.kid }] });
	const elsewhere = await s.server((socket) => socket.on('data', () => socket.end(
		`HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\nConnection: close\r\n\r\n${evil}`)));
	const lies = {
		html: text(200, 'text/html', '<html>please sign in</html>'),
		empty: text(200, 'application/json', '{"keys":[]}'),
		twice: text(200, 'application/json', `{"keys":[],"keys":${evil.slice(8, -1)}}`),
		error: text(500, 'application/json', evil),
		huge: text(200, 'application/json', `{"keys":[],"x":"${'x'.repeat(300_000)}"}`),
		gzip: (req, res) => {
			res.writeHead(200, { 'content-encoding': 'gzip' });
			res.end(evil);
		},
		redirect: (req, res) => {
			res.writeHead(302, { location: `http://${HOST}:${elsewhere}/jwks` });
			res.end();
		},
		drip: (req, res) => {
			res.writeHead(200);
			const timer = setInterval(() => res.write(' '), 20);
			res.on('close', () => clearInterval(timer));
		},
		cut: (req, res) => {
			res.writeHead(200, { 'content-length': 1000 });
			res.write(evil.slice(0, 20), () => res.destroy());
		},
		document: text(200, 'application/json', JSON.stringify({ issuer: 'https://evil.example',
			jwks_uri: `http://${HOST}:${elsewhere}/jwks` })),
		other: text(200, 'application/json', JSON.stringify({ issuer: idp.issuer,
			jwks_uri: `http://${HOST}:${elsewhere}/jwks` })),
	};
	for (const [name, lie] of Object.entries(lies)) {
		const before = await metric(s, 'merlon_auth_oidc_fetches_total{result="failed"}');
		idp.answers = { '*': lie };
		await until(async () => await metric(s, 'merlon_auth_oidc_fetches_total{result="failed"}') > before,
			`${name} to be refused`);
		assert.equal((await ask(s, token)).status, 200, name);
		assert.notEqual((await ask(s, await idp.forge({}, { key: other }))).status, 200, name);
	}
	idp.answers = {};
	await s.logged(/answers again/);
	assert.equal(await metric(s, 'merlon_auth_oidc_fetches_total{result="changed"}'), 1);
	assert.equal((await ask(s, token)).status, 200);
	await s.logged(/its discovery document is another issuer's/);
	await s.logged(/set jwks_uri/);
	assert.ok(!s.log().includes('please sign in'));
});

test('a reload five times a second under load fetches nothing and fails nothing', async (t) => {
	const { s, idp } = await world(t);
	const tokens = [await idp.token(), await idp.token(), await idp.token()];
	let n = 0;
	const l = load(s, 8, () => tokens[n++ % 3]);
	await l.more(50);
	for (let i = 0; i < 25; i++) {
		const next = pause(200);
		const r = await s.reload({ limits: `idle_timeout = "${30 + i}s";` });
		assert.equal(r.code, 0, r.stderr);
		await next;
	}
	await l.end();
	assert.deepEqual(l.errors, []);
	assert.equal(idp.count(DOCUMENT), 1);
	assert.equal(idp.count(KEYS), 1);
	// The cache is kept as well: three tokens, two workers.
	assert.ok(await metric(s, 'merlon_auth_oidc_cache_total{result="miss"}') <= 6);
	await until(async () => (await s.status()).generations === 1, 'old generations to go');

	// Another audience: the keys stay, what was verified counts no more.
	const r = await s.reload({ auth: line('auth_oidc', 'requisite',
		`issuer = "${idp.issuer}"; audience = "other"; ${CLAIMS}`) });
	assert.equal(r.code, 0, r.stderr);
	assert.equal((await ask(s, tokens[0])).status, 401);
	assert.equal(idp.count(KEYS), 1);
});

test('a reload while the first fetch is under way loses neither it nor who waits', async (t) => {
	const s = site(t);
	const idp = await new Idp(s).start();
	const held = [];
	idp.answers['*'] = (req, res, next) => held.push(next);
	await s.demo();
	await s.gateway({ auth: oidc(idp, '', 'requisite', 'timeout = "60s";') });
	const token = await idp.token();
	const waiting = Array.from({ length: 20 }, () => ask(s, token));
	for (let i = 0; i < 5; i++)
		assert.equal((await s.reload({ limits: `idle_timeout = "${30 + i}s";` })).code, 0);
	assert.equal(idp.count(DOCUMENT), 1);
	delete idp.answers['*'];
	held.splice(0).forEach((go) => go());
	for (const r of await Promise.all(waiting))
		assert.ok(r.status === 200 || r.status === 503, `${r.status} ${r.text}`);
	await until(async () => (await ask(s, token)).status === 200, 'the keys');
	assert.equal(idp.count(DOCUMENT), 1);
	assert.equal(idp.count(KEYS), 1);
});

test('the gateway ends while a provider holds its answer', async (t) => {
	const s = site(t);
	const idp = await new Idp(s).start();
	const held = [];
	idp.answers['*'] = (req, res, next) => held.push(next);
	await s.demo();
	await s.gateway({ auth: oidc(idp, 'fetch_timeout = "1m";', 'requisite', 'timeout = "5m";'),
		limits: 'drain_timeout = "100ms";' });
	await until(() => held.length > 0, 'the fetch');
	const waiting = ask(s, await idp.token()).catch((e) => e);
	await until(async () => (await s.status()).connections > 0, 'the request to arrive');
	await s.stop();
	const r = await waiting;
	assert.notEqual(r.status, 200);
	assert.equal(idp.count(DOCUMENT), 1);
});

test('over TLS: the provider must be whom its certificate names', async (t) => {
	const s = site(t);
	const ca = await new Authority(s, 'ca').create();
	const right = await ca.issue('idp', { names: `IP:${HOST}` });
	const wrong = await ca.issue('wrong', { names: 'DNS:other.test' });
	const pem = (pair) => ({ cert: fs.readFileSync(pair.cert), key: fs.readFileSync(pair.key) });
	const idp = await new Idp(s).start({ tls: pem(right) });
	await s.demo();
	// Described by the operator under the issuer's name, with an authority of its own.
	const described = `}, { name = "${idp.issuer}"; servers = ( "${HOST}:${idp.port}" ); tls = { ca = "${ca.ca}"; };`;
	await s.gateway({ auth: oidc(idp), upstream: described });
	const token = await idp.token();
	assert.equal((await ask(s, token)).status, 200);
	// By itself: the system's authorities do not know this one. (With jwks_uri no key is known yet.)
	const r = await s.reload({ upstream: '', auth: oidc(idp, `jwks_uri = "${idp.issuer}${KEYS}";`) });
	assert.equal(r.code, 0, r.stderr);
	assert.equal((await ask(s, token)).status, 503);
	// Another one's certificate.
	await idp.stop();
	await idp.start({ tls: pem(wrong) });
	const named = `}, { name = "idp"; servers = ( "${HOST}:${idp.port}" ); tls = { ca = "${ca.ca}"; };`;
	assert.equal((await s.reload({ upstream: named, auth: oidc(idp, 'upstream = "idp";') })).code, 0);
	assert.equal((await ask(s, token)).status, 503);
	await s.logged(/keys cannot be fetched: it cannot be reached/);
});

test('through an upstream of another address, the provider is asked by its own name', async (t) => {
	const s = site(t);
	const ca = await new Authority(s, 'ca').create();
	const pair = await ca.issue('idp', { names: 'DNS:idp.test' });
	const idp = await new Idp(s).start({ tls: { key: fs.readFileSync(pair.key), cert: fs.readFileSync(pair.cert) } });
	// What the document says of keys follows the Host that it is asked by.
	idp.issuer = `https://idp.test:${idp.port}`;
	idp.rotate(idp.keys);
	await s.demo();
	await s.usualKeys();
	const upstream = ` }, { name = "idp"; servers = ( "${HOST}:${idp.port}" ); ` +
		`tls = { ca = "${ca.ca}"; server_name = "idp.test"; };`;
	await s.gateway({ auth: oidc(idp, 'upstream = "idp";'), upstream });
	assert.equal((await ask(s, await idp.token())).status, 200, s.log());
	assert.equal(idp.count(KEYS), 1);
});

test('a check of the configuration asks nobody and says what is wrong', async (t) => {
	const s = site(t);
	const idp = await new Idp(s).start();
	await s.demo();
	await s.usualKeys();
	await s.gateway({ auth: oidc(idp) });
	const token = await idp.token();
	assert.equal((await ask(s, token)).status, 200);
	const asked = () => JSON.stringify({ ...idp.hits, '/token': undefined });
	const hits = asked();
	const check = async (options, wants) => {
		s.reconfigure({ auth: line('auth_oidc', 'requisite', options) });
		const r = await run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', MODULES]);
		for (const want of [wants].flat())
			assert.match(r.stderr, want);
		return r.code;
	};
	const base = `issuer = "${idp.issuer}"; audience = "${AUDIENCE}";`;
	assert.equal(await check(base, /ok/), 0);
	assert.equal(await check(`${base} upstream = "lm";`, /merlon\.conf:\d+: .*there is no upstream "lm", did you mean "llm"/), 78);
	assert.equal(await check('issuer = "http://idp.example"; audience = "m";',
		/merlon\.conf:\d+: .*http:\/\/idp\.example is another machine/), 78);
	assert.equal(await check('issuer = "https://u:p@idp.example/?x"; audience = "m";', /must not hold a/), 78);
	assert.equal(await check('issuer = "idp.example"; audience = "m";', /must begin with https/), 78);
	assert.equal(await check('audience = "m";', /issuer is missing/), 78);
	assert.equal(await check(`${base} audiences = "m";`, /unknown key "audiences", did you mean "audience"/), 78);
	assert.equal(await check(`${base} secret = "0123456789abcdef0123456789abcdef"; jwks_uri = "${idp.issuer}/k";`,
		/jwks_uri cannot stand beside secret/), 78);
	assert.equal(await check('issuer = "https://idp.example"; audience = "models";', /ok/), 0);

	// explain: without keys it can only say so; with keys of a file it is whole.
	s.reconfigure({ auth: oidc(idp) });
	const explain = () => s.ctl('explain', '--method', 'POST', '--path', '/predict', '--header', `Authorization: Bearer ${token}`);
	assert.match((await explain()).stdout, /UNAVAIL/);
	const { d, p, q, dp, dq, qi, ...publicKey } = idp.keys[0];
	s.write('jwks.json', JSON.stringify({ keys: [publicKey] }));
	s.reconfigure({ auth: oidc(idp, 'jwks_file = "jwks.json";') });
	assert.match((await explain()).stdout, /auth_oidc: OK/);
	assert.equal(asked(), hits);
	// And in service, nobody is asked either.
	assert.equal((await s.reload()).code, 0);
	assert.equal((await ask(s, token)).status, 200);
	assert.equal(asked(), hits);
});
