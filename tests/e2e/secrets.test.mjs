// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Promise 9 for what waits on networks, certificates and tokens: whatever happens, no output holds a secret in any
// spelling. promises.test.mjs asks the same of the core and the other modules.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import { test } from 'node:test';
import { SignJWT } from 'jose';
import { Authority } from './certificates.mjs';
import { line, run, site, until, HOST, MERLOND, MERLONCTL, MODULES } from './lib.mjs';
import { Redis } from './redis.mjs';
import { Collector, skip as noSyslog } from './rsyslog.mjs';

// A text as it is, and as it would look after the usual encodings wherever it begins in a larger text.
function spellings(text) {
	const bytes = Buffer.from(text);
	const base64 = [0, 1, 2].map((shift) => Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64')
		.slice(shift ? 4 : 0).replace(/=+$/, '').slice(0, -2));
	return [text, bytes.toString('hex'), encodeURIComponent(text), ...base64,
		...base64.map((b) => b.replaceAll('+', '-').replaceAll('/', '_'))];
}

test('P9: no secret of tokens, keys, Redis or TLS appears in any output', { skip: noSyslog }, async (t) => {
	const s = site(t);
	const ca = await new Authority(s, 'company').create();
	const gateway = await ca.issue('gateway', { names: 'DNS:localhost' });
	const client = await ca.issue('client', { names: 'DNS:client.example' });
	const secrets = { shared: 'canary-hs-secret-4f0a9b7c6d5e4f3a2b1c', redis: 'canary-redis-91c7d2',
		wrong: 'canary-redis-wrong-55aa', claim: 'canary-claim-7b1d02' };
	s.write('hs.secret', `${secrets.shared}\n`);
	s.write('redis.password', secrets.redis);
	const redis = await new Redis(s).start();
	await redis.cli('CONFIG', 'SET', 'requirepass', secrets.redis);
	const collector = await new Collector(s).create();
	await s.usualKeys();
	await s.demo();
	const limit = (server) => line('ratelimit_redis', 'requisite', `server = "${server}"; password = "file:redis.password"; ` +
		'on_error = "local"; default = { requests = "1000/1m"; };');
	await s.gateway({ top: 'log_level = "debug";',
		listen: `tls = { certificate = "${gateway.cert}"; key = "${gateway.key}"; client_ca = "${ca.ca}"; client_auth = "optional"; };`,
		auth: [line('auth_mtls', 'sufficient'),
			line('auth_oidc', 'sufficient', 'issuer = "https://hs.example"; audience = "models"; secret = "file:hs.secret";'),
			line('auth_apikey', 'requisite', 'keys_file = "keys.jsonl";')].join(', '),
		authz: 'none', ratelimit: limit(redis.server),
		audit: `{ module = "audit_file"; options = { path = "audit.log"; commit_interval = "2ms"; }; },
			${line('audit_syslog', 'optional', `target = "tcp:${HOST}:${collector.tcpPort}";`)}` });

	const outputs = [];
	const tls = { ca: fs.readFileSync(ca.ca), servername: 'localhost' };
	const ask = (headers, extra = {}) => new Promise((resolve, reject) => {
		const req = https.request({ host: HOST, port: s.port, path: '/v1/chat/completions', method: 'POST', agent: false,
			headers: { 'content-type': 'application/json', ...headers }, ...tls, ...extra }, (res) => {
			const parts = [];
			res.on('data', (d) => parts.push(d));
			res.on('end', () => {
				outputs.push(JSON.stringify(res.headers), Buffer.concat(parts).toString());
				resolve(res.statusCode);
			});
		});
		req.on('error', reject);
		req.end('{"model":"m","messages":[]}');
	});
	const sign = (secret, seconds = 300) => {
		const now = Math.floor(Date.now() / 1000);
		return new SignJWT({ sub: 'sam', secret: secrets.claim }).setProtectedHeader({ alg: 'HS256' })
			.setIssuer('https://hs.example').setAudience('models').setIssuedAt(now - 900).setExpirationTime(now + seconds)
			.sign(Buffer.from(secret));
	};
	const good = await sign(secrets.shared);
	const old = await sign(secrets.shared, -600);
	const forged = await sign('another-secret-of-enough-bytes-for-hs256');
	const bearer = (token) => ({ authorization: `Bearer ${token}` });
	assert.equal(await ask(bearer(good)), 200);
	assert.equal(await ask(bearer(good)), 200, 'from the cache');
	assert.equal(await ask(bearer(old)), 401);
	assert.equal(await ask(bearer(forged)), 401);
	assert.equal(await ask(bearer(`${good}x`)), 401);
	assert.equal(await ask({ 'x-api-key': s.keys.alice }), 200);
	assert.equal(await ask({}, { cert: fs.readFileSync(client.cert), key: fs.readFileSync(client.key) }), 200);

	// What fails is told of: Redis away, a wrong password, a secret that cannot be used.
	await redis.kill();
	assert.equal(await ask(bearer(good)), 200, 'counted locally');
	await redis.start();
	await redis.cli('CONFIG', 'SET', 'requirepass', secrets.redis);
	s.replace('redis.password', secrets.wrong);
	assert.equal((await s.reload()).code, 0);
	await until(() => /stream is down[^\n]*greeting was refused/.test(s.log()), 'the wrong password to be refused');
	assert.equal(await ask(bearer(good)), 200);
	s.replace('hs.secret', secrets.shared.slice(0, 20));
	const refused = await s.reload();
	assert.equal(refused.code, 1);
	outputs.push(refused.stdout, refused.stderr);
	s.replace('hs.secret', secrets.shared);

	for (const args of [['status'], ['stacks'], ['modules'], ['reload']])
		for (const json of [[], ['--json']]) {
			const r = await s.ctl(...args, ...json);
			outputs.push(r.stdout, r.stderr);
		}
	for (const token of [good, old, forged]) {
		const r = await run(MERLONCTL, ['-c', s.file('merlon.conf'), '-m', MODULES, 'explain', '--json', '--method', 'GET',
			'--path', '/v1/models', '--header', `Authorization: Bearer ${token}`]);
		assert.equal(JSON.parse(r.stdout).status !== undefined, true);
		outputs.push(r.stdout, r.stderr);
	}
	for (const args of [['-t'], ['-T']]) {
		const r = await run(MERLOND, ['-c', s.file('merlon.conf'), '-m', MODULES, ...args]);
		assert.equal(r.code, 0, r.stderr);
		outputs.push(r.stdout, r.stderr);
	}
	for (const p of ['/metrics', '/healthz', '/readyz'])
		outputs.push(await (await s.admin(p)).text());
	await s.awaitRecords(9);
	await collector.await('tcp', 9);
	outputs.push(s.log(), s.read('audit.log'), s.read('tcp.out'));
	const all = outputs.join('\n');
	for (const told of ['sam', 'client.example', 'counted locally', 'greeting was refused', 'the token has expired'])
		assert.ok(all.includes(told), `the outputs do not tell of ${told}`);
	const keys = [gateway.key, client.key].flatMap((f) => fs.readFileSync(f, 'utf8').split('\n').slice(1, -2));
	const tokens = [good, old, forged].flatMap((token) => token.split('.').slice(1));
	for (const secret of [...Object.values(secrets).flatMap(spellings), ...tokens, ...keys, s.keys.alice])
		assert.ok(!all.includes(secret), `${secret} in ${all.slice(Math.max(0, all.indexOf(secret) - 300), all.indexOf(secret) + 60)}`);
});
