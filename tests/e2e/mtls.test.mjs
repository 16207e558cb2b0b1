// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// auth_mtls behind a listener with TLS, with certificates made by openssl: who a certificate is, and when it
// stops being anybody, on connections that stay open too.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import { before, after, describe, test } from 'node:test';
import { Authority, rawNames } from './certificates.mjs';
import { HOST, KEYS, line, run, site, until } from './lib.mjs';

const MAP = `identity = [ "spiffe", "dns", "cn" ]; trust_domain = [ "acme.example" ]; map = (
  { match = "spiffe://acme.example/team/*/svc/*"; sub = "$2"; org = "acme"; team = "$1"; roles = [ "analyst" ]; },
  { match = "*.batch.acme.example"; sub = "batch-$1"; org = "acme"; roles = [ "viewer" ]; },
  { match = "operator *"; source = "cn"; sub = "$1"; org = "acme"; roles = [ "admin" ];
    models = [ "demo-*" ]; actions = [ "predict" ]; } );`;
const mtls = (options = MAP, control = 'requisite') => line('auth_mtls', control, options);

class MtlsSite {
	constructor(s) {
		this.s = s;
	}
	// o: what conf() takes; tls: more keys of the listener's tls group.
	async start({ tls = '', auth = mtls(), clientAuth = 'required', ...o } = {}) {
		const { s } = this;
		await s.demo();
		await s.usualKeys();
		this.authority = await new Authority(s, 'clients').create();
		this.servers = await new Authority(s, 'servers').create();
		this.server = await this.servers.issue('server', { names: `IP:${HOST},DNS:gw.test` });
		this.tls = (clients, more = '') => `tls = { certificate = "${this.server.cert}"; ` +
			`key = "${this.server.key}"; client_ca = "${this.authority.ca}"; client_auth = "${clients}"; ${more} };`;
		await s.gateway({ listen: this.tls(clientAuth, tls), auth, ...o });
		return this;
	}
	// A request with a client certificate of issue(); without one none is shown.
	request(client, p, { method = 'GET', headers = {}, body, agent = false } = {}) {
		return new Promise((resolve, reject) => {
			const req = https.request({ host: HOST, port: this.s.port, path: p, method, headers, agent,
				ca: fs.readFileSync(this.servers.ca), ...this.shown(client) }, (res) => {
				const parts = [];
				res.on('data', (d) => parts.push(d));
				res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, socket,
					text: Buffer.concat(parts).toString() }));
			});
			let socket;
			req.on('socket', (used) => { socket = used; });
			req.on('error', reject);
			req.end(body);
		});
	}
	shown(client) {
		return client ? { cert: fs.readFileSync(client.cert), key: fs.readFileSync(client.key) } : {};
	}
	chat(client, { model = 'demo-model', ...more } = {}) {
		const body = JSON.stringify({ model, messages: [] });
		return this.request(client, '/v1/chat/completions', { method: 'POST', body, ...more,
			headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...more.headers } });
	}
	async answer(client, more) {
		const r = await this.chat(client, more);
		return { ...r, record: await this.s.record(r.headers['x-request-id']) };
	}
	// One connection for several requests; every answer must have come over it.
	keptAlive(client) {
		const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: fs.readFileSync(this.servers.ca),
			...this.shown(client) });
		this.s.onEnd(() => agent.destroy());
		const sockets = new Set();
		return async () => {
			const r = await this.chat(client, { agent });
			sockets.add(r.socket);
			assert.equal(sockets.size, 1, 'the connection was not kept');
			return r;
		};
	}
}

describe('auth_mtls', () => {
	const s = site({ after });
	const gw = new MtlsSite(s);
	const issue = (...args) => gw.authority.issue(...args);
	before(() => gw.start());

	test('a SPIFFE ID, a DNS name and a common name become the identity they are mapped to', async () => {
		const scorer = await issue('scorer', { names: 'URI:spiffe://acme.example/team/ml/svc/scorer', cn: 'operator eve' });
		const { status, record } = await gw.answer(scorer);
		assert.equal(status, 200);
		assert.equal(record.user_id, 'scorer');
		assert.equal(record.org, 'acme');
		assert.equal(record.auth_method, 'mtls');
		const print = await run('openssl', ['x509', '-in', scorer.cert, '-noout', '-fingerprint', '-sha256']);
		const hex = print.stdout.split('=')[1].replaceAll(':', '').toLowerCase();
		assert.equal(record.credential, `x509:${hex.slice(0, 16)}`);
		assert.equal(record.decisions[0].policy, 'spiffe://acme.example/team/*/svc/*');
		assert.equal((await gw.request(scorer, '/v1/models')).status, 200);

		const batch = await gw.answer(await issue('batch', { names: 'DNS:other.example,DNS:Night.Batch.Acme.Example' }));
		assert.equal(batch.record.user_id, 'batch-night');

		const operator = await issue('operator', { cn: 'operator ann' });
		const ok = await gw.answer(operator);
		assert.equal(ok.status, 200);
		assert.equal(ok.record.user_id, 'ann');
		assert.equal((await gw.answer(operator, { model: 'other' })).status, 403, 'models bind');
		assert.equal((await gw.request(operator, '/v1/models')).status, 403, 'actions bind');
	});

	test('curl gets in as well', async () => {
		const c = await issue('curl', { cn: 'operator curl' });
		const r = await run('curl', ['-sS', '--cacert', gw.servers.ca, '--cert', c.cert, '--key', c.key,
			'-H', 'content-type: application/json', '-d', '{"model":"demo-model","messages":[]}',
			'-w', '%{http_code}', '-o', '/dev/null', `https://${HOST}:${s.port}/v1/chat/completions`]);
		assert.equal(r.stdout, '200', r.stderr);
	});

	test('names that no mapping covers are nobody, and malformed ones are refused', async () => {
		const cases = [
			['foreign', { names: 'URI:spiffe://other.example/team/ml/svc/x,DNS:x.batch.acme.example' }, 'NOCRED', /another trust domain/],
			['deeper', { names: 'DNS:a.b.batch.acme.example' }, 'NOCRED', /no mapping/],
			['nothing', { cn: '' , names: 'email:a@b.example' }, 'NOCRED', /no mapping/],
			['two', { names: 'URI:spiffe://acme.example/team/a/svc/b,URI:spiffe://acme.example/team/a/svc/c' }, 'BADCRED', /more than one URI/],
			['dots', { names: 'URI:spiffe://acme.example/team/../svc/b' }, 'BADCRED', /dot segment/],
			['upper', { names: 'URI:SPIFFE://acme.example/team/a/svc/b' }, 'BADCRED', /spiffe:/],
			['wild', { names: 'DNS:*.batch.acme.example' }, 'BADCRED', /wildcard/],
			['posing', { cn: 'spiffe:__acme.example_team_a_svc_b' }, 'BADCRED', /poses/],
			['nul-uri', { names: rawNames(['uri', 'spiffe://acme.example/team/a/svc/b\0.evil.example']) }, 'BADCRED', /NUL/],
			['nul-dns', { names: rawNames(['dns', 'x.batch.acme.example\0.evil.example']) }, 'BADCRED', /NUL/],
			['nul-end', { names: rawNames(['dns', 'x.batch.acme.example\0']) }, 'BADCRED', /NUL/],
			['nul-beside', { names: rawNames(['dns', '\0'], ['uri', 'spiffe://acme.example/team/a/svc/b']) }, 'BADCRED', /NUL/],
			['newline', { names: rawNames(['uri', 'spiffe://acme.example/team/a/svc/b\n']) }, 'BADCRED', /control/],
		];
		for (const [name, how, code, reason] of cases) {
			const r = await gw.answer(await issue(name, how));
			assert.equal(r.status, 401, name);
			assert.equal(r.record.decisions[0].code, code, `${name}: ${r.record.reason}`);
			assert.match(r.record.reason, reason);
			assert.equal(r.record.user_id, null, name);
		}
	});

	test('a header is no certificate', async () => {
		const c = await issue('header', { cn: 'nobody' });
		for (const name of ['x-forwarded-client-cert', 'x-ssl-client-cert', 'x-merlon-sub']) {
			const r = await gw.chat(c, { headers: { [name]: 'By=x;URI=spiffe://acme.example/team/a/svc/b' } });
			assert.equal(r.status, 401, name);
		}
	});

	test('without a certificate, or with one of others, there is no connection', async () => {
		await assert.rejects(gw.chat(null));
		const strangers = await new Authority(s, 'strangers').create();
		await assert.rejects(gw.chat(await strangers.issue('x', { cn: 'operator x' })));
		await assert.rejects(gw.chat(await issue('past', { cn: 'operator x', until: new Date(Date.now() - 60_000) })));
	});
});

describe('auth_mtls over time', () => {
	test('a certificate that expires ends with its time, on a connection that stays open', async (t) => {
		const gw = await new MtlsSite(site(t)).start();
		let end;
		let ask;
		let first;
		// Where making it and asking takes all of its life, the next one lives longer.
		for (let life = 4000; first?.status !== 200 && life < 100_000; life *= 2) {
			end = new Date(Math.ceil(Date.now() / 1000) * 1000 + life);
			ask = gw.keptAlive(await gw.authority.issue(`short${life}`, { cn: 'operator short', until: end }));
			first = await ask().catch((e) => e);
		}
		assert.equal(first.status, 200, String(first));
		const r = await until(async () => {
			const answer = await ask();
			return answer.status === 200 ? null : answer;
		}, 'the end of its time');
		assert.ok(Date.now() >= end.getTime(), 'too early');
		assert.equal(r.status, 401);
		assert.match(r.text, /expired/);
		const record = await gw.s.record(r.headers['x-request-id']);
		assert.equal(record.decisions[0].code, 'EXPIRED');
	});

	test('a revocation that a reload brings counts on connections that are open', async (t) => {
		const s = site(t);
		const gw = await new MtlsSite(s).start();
		const [bad, good] = [await gw.authority.issue('bad', { cn: 'operator bad' }),
			await gw.authority.issue('good', { cn: 'operator good' })];
		const [askBad, askGood] = [gw.keptAlive(bad), gw.keptAlive(good)];
		assert.equal((await askBad()).status, 200);
		assert.equal((await askGood()).status, 200);

		await gw.authority.revoke(bad.cert);
		const listen = gw.tls('required', `crl = "${await gw.authority.crl()}";`);
		assert.equal((await s.reload({ listen })).code, 0);
		const r = await askBad();
		assert.equal(r.status, 401);
		const record = await s.record(r.headers['x-request-id']);
		assert.equal(record.decisions[0].code, 'BADCRED');
		assert.match(record.reason, /revoked/);
		assert.equal((await askGood()).status, 200);
		await assert.rejects(gw.chat(bad), 'a revoked certificate opens no connection');

		// The list's file alone has changed: the configuration is the same.
		await gw.authority.revoke(good.cert);
		await gw.authority.crl();
		assert.equal((await askGood()).status, 200, 'the file is read at a reload');
		assert.equal((await s.reload()).code, 0);
		assert.equal((await askGood()).status, 401);
	});

	test('authorities that a reload takes away take their certificates with them', async (t) => {
		const s = site(t);
		const gw = await new MtlsSite(s).start();
		const ask = gw.keptAlive(await gw.authority.issue('c', { cn: 'operator c' }));
		assert.equal((await ask()).status, 200);
		gw.authority = await new Authority(s, 'successors').create();
		assert.equal((await s.reload({ listen: gw.tls('required') })).code, 0);
		const r = await ask();
		assert.equal(r.status, 401);
		const record = await s.record(r.headers['x-request-id']);
		assert.equal(record.decisions[0].code, 'BADCRED');
		assert.match(record.reason, /not trusted/);
	});
});

describe('auth_mtls beside other credentials', () => {
	test('without a certificate the next line is asked; one that does not hold ends it', async (t) => {
		const s = site(t);
		const gw = await new MtlsSite(s).start({ clientAuth: 'optional', auth: `${mtls(MAP, 'sufficient')}, ${KEYS}` });
		assert.equal((await gw.chat(null)).status, 401);
		const key = { headers: s.bearer('admin') };
		const byKey = await gw.answer(null, key);
		assert.equal(byKey.status, 200);
		assert.equal(byKey.record.auth_method, 'apikey');
		const byCert = await gw.answer(await gw.authority.issue('a', { cn: 'operator a' }), key);
		assert.equal(byCert.record.auth_method, 'mtls', 'the first line that knows somebody counts');
		assert.equal(byCert.record.user_id, 'a');
		const unmapped = await gw.answer(await gw.authority.issue('b', { cn: 'nobody' }), key);
		assert.equal(unmapped.record.auth_method, 'apikey');
		const wild = await gw.answer(await gw.authority.issue('w', { names: 'DNS:*.x' }), key);
		assert.equal(wild.status, 401);
		assert.equal(wild.record.user_id, null);
	});

	test('a plain listener has no certificates, whatever a client says', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		await s.gateway({ auth: mtls('') });
		const r = await s.chat('admin');
		assert.equal(r.status, 401);
		assert.match(r.text, /no client certificate/);
	});

	test('the checker reads every option', async (t) => {
		const s = site(t);
		await s.demo();
		await s.usualKeys();
		await s.gateway({ auth: mtls('') });
		for (const [options, says] of [
			['identity = [ "ip" ];', /takes spiffe, dns and cn/],
			['map = ( { match = "a"; sbu = "x"; } );', /did you mean "sub"/],
			['map = ( { match = "*"; sub = "$2"; } );', /names a wildcard/],
			['map = ( { sub = "x"; } );', /match/],
			['trust_domain = "ACME";', /trust domain/]]) {
			const r = await s.reload({ auth: mtls(options) });
			assert.equal(r.code, 1, options);
			assert.match(r.stderr, says);
			assert.match(r.stderr, /merlon\.conf:\d+: /);
		}
	});
});
