// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// All modules in one stack, reloaded one time after another while each of them has work: streams to Redis and
// to a collector, calls to an identity provider, client certificates, answers in pieces, clients that go away.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { Authority } from './certificates.mjs';
import { freePort, line, site, until, AUDIT, HOST, KEYS } from './lib.mjs';
import { Client } from './limits.mjs';
import { AUDIENCE, bearer, Idp, signingKey } from './oidc.mjs';
import { limit, Redis } from './redis.mjs';

const RELOADS = 20;
const WORKERS = 4;
const BODY = JSON.stringify({ model: 'demo-model', messages: [] });
const HEADERS = { 'content-type': 'application/json', 'content-length': BODY.length };

async function world(t) {
	const s = site(t);
	await s.demo();
	await s.key('dan', '--role', 'admin', '--org', 'acme');
	const w = { s, idp: await new Idp(s).start(), redis: await new Redis(s).start(), tls: await freePort(), arrived: [] };
	const model = s.upstream;
	w.collector = await s.server((socket) => {
		const parts = [];
		w.arrived.push(parts);
		socket.on('data', (d) => parts.push(d));
	});
	s.upstream = model;
	const clients = await new Authority(s, 'clients').create();
	const servers = await new Authority(s, 'servers').create();
	const server = await servers.issue('server', { names: `IP:${HOST}` });
	const own = await clients.issue('svc', { names: 'URI:spiffe://acme.example/svc/a' });
	w.agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: fs.readFileSync(servers.ca),
		cert: fs.readFileSync(own.cert), key: fs.readFileSync(own.key) });
	s.onEnd(() => w.agent.destroy());
	s.write('abac.conf', fs.readFileSync(path.join(import.meta.dirname, '../../etc/abac.conf'), 'utf8'));
	w.listen = `tls = { certificate = "${server.cert}"; key = "${server.key}"; client_ca = "${clients.ca}"; ` +
		'client_auth = "optional"; };';
	return w;
}

// The configuration of the n-th generation; each has other limits, and the counts go on.
const generation = (w, n) => ({
	workers: WORKERS,
	upstream: 'identity_headers = ( { name = "X-User"; value = "id.sub"; } );',
	listeners: `, { name = "tls"; address = "${HOST}:${w.tls}"; ${w.listen} }`,
	auth: [line('ratelimit_local', 'requisite', `count = "denied"; default = { requests = "${100000 + n}/1h"; };`, 'name = "guesses";'),
		line('auth_mtls', 'sufficient', 'trust_domain = [ "acme.example" ]; ' +
			'map = ( { match = "spiffe://acme.example/svc/*"; sub = "$1"; org = "acme"; roles = [ "admin" ]; } );'),
		line('auth_oidc', 'sufficient', `issuer = "${w.idp.issuer}"; audience = "${AUDIENCE}"; claims = { roles = "realm_access.roles"; };`),
		KEYS].join(', '),
	authz: `${line('authz_rbac', 'requisite')}, ${line('authz_abac', 'optional', 'policy_file = "abac.conf";')}`,
	ratelimit: `${limit(w.redis, `default = { requests = "${1000000 + n}/1h"; concurrency = 64; }; lease = "1h";`)}, ` +
		line('ratelimit_local', 'requisite', `default = { requests = "${1000000 + n}/1h"; };`),
	audit: `${AUDIT}, ${line('audit_syslog', 'required', `target = "tcp:${HOST}:${w.collector}";`)}`,
});

const overTls = (w) => new Promise((resolve, reject) => {
	const req = https.request({ host: HOST, port: w.tls, method: 'POST', path: '/v1/chat/completions', agent: w.agent,
		headers: HEADERS }, (res) => {
		res.resume();
		res.on('end', () => resolve({ status: res.statusCode }));
	});
	req.on('error', reject);
	req.end(BODY);
});
// Asks, and is gone as soon as the first byte of an answer is there, or before.
const goneSoon = (w, n) => new Promise((resolve) => {
	const head = Object.entries({ host: HOST, ...HEADERS, ...w.s.bearer('dan') }).map(([k, v]) => `${k}: ${v}\r\n`).join('');
	const socket = net.connect(w.s.port, HOST);
	socket.on('error', () => {});
	socket.on('close', () => resolve({ status: 200 }));
	socket.on('data', () => socket.destroy());
	socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${head}\r\n${BODY}`, () => n % 2 && socket.destroy());
});

test('reloads under load with all modules: nothing fails, nothing is kept, nobody connects anew', async (t) => {
	const w = await world(t);
	const { s, idp, redis } = w;
	await s.gateway(generation(w, 0));
	const token = await idp.token();
	const stranger = signingKey('ES256');
	const dan = new Client(s, { key: s.keys.dan });
	const someone = new Client(s, { headers: bearer(token) });
	const sorts = { dan: () => dan.chat(), someone: () => someone.chat(), tls: () => overTls(w), gone: (n) => goneSoon(w, n),
		pieces: () => s.chat('dan', { stream: true, headers: { 'x-demo-delay': '2ms', 'x-demo-chunks': '20' } }),
		// Signed with a key that is looked for at the provider, and not found.
		stranger: async () => s.chat(null, { headers: bearer(await idp.forge({}, { key: stranger })) }) };
	const wanted = (sort) => (sort === 'stranger' ? 401 : 200);
	const errors = [];
	const asked = {};
	let over = false;
	const load = Object.entries(sorts).map(async ([sort, ask]) => {
		for (asked[sort] = 0; !over; asked[sort]++) {
			const r = await ask(asked[sort]).catch((e) => ({ status: 0, text: String(e) }));
			if (r.status !== wanted(sort))
				errors.push(`${sort}: ${r.status} ${r.text}`);
		}
	});
	s.onEnd(() => { over = true; });
	await until(() => Object.keys(sorts).every((sort) => asked[sort] > 2), 'all sorts of requests');
	const descriptors = () => fs.readdirSync(`/proc/${s.merlond.pid}/fd`).length;
	const connections = await redis.info('total_connections_received');
	const before = descriptors();
	for (let i = 1; i <= RELOADS; i++)
		assert.equal((await s.reload(generation(w, i))).code, 0, s.log());
	assert.equal(await redis.info('total_connections_received') - connections, 1, 'beside redis-cli nobody has connected');
	over = true;
	await Promise.all(load);
	assert.deepEqual(errors, []);
	await until(async () => (await s.status()).generations === 1, 'old generations to go');
	const after = descriptors();
	assert.ok(after < before + RELOADS / 2, `${before} descriptors before, ${after} after`);
	// Every place in flight was given back, and every record has reached both.
	const end = limit(redis, 'default = { concurrency = 1; }; lease = "1h";');
	assert.equal((await s.reload({ ratelimit: end })).code, 0);
	await until(async () => (await dan.chat()).status === 200, 'all places to be free');
	await s.stop();
	const records = s.read('audit.log').trimEnd().split('\n').length;
	const messages = () => w.arrived.reduce((n, parts) =>
		n + Buffer.concat(parts).toString('latin1').split(/ merlon \d+ audit - /).length - 1, 0);
	await until(() => messages() >= records, 'all messages');
	assert.equal(messages(), records);
});
