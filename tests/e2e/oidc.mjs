// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// An identity provider for tests: npm's oidc-provider behind a server of the test's own, so that keys can be
// rotated (another instance behind the same address), and what it answers counted, held back or replaced.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import * as jose from 'jose';
import Provider from 'oidc-provider';
import { HOST, until } from './lib.mjs';

export const AUDIENCE = 'models';
export const DOCUMENT = '/.well-known/openid-configuration';
export const KEYS = '/jwks';

let serial = 0;
export function signingKey(alg = 'RS256') {
	const made = alg === 'ES256' ? crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })
		: crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
	return { ...made.privateKey.export({ format: 'jwk' }), kid: `key-${++serial}`, alg, use: 'sig' };
}

export class Idp {
	constructor(site) {
		this.site = site;
		this.hits = {};
		this.answers = {}; // by path: a handler in place of the provider
		this.claims = { org: 'acme', realm_access: { roles: ['analyst'] } };
		this.ttl = 600;
		site.onEnd(() => this.stop());
	}
	// tls: { key, cert } in PEM.
	async start({ port = 0, tls, keys } = {}) {
		const serve = (req, res) => this.serve(req, res);
		this.server = tls ? https.createServer(tls, serve) : http.createServer(serve);
		await new Promise((resolve, reject) => {
			this.server.once('error', reject);
			this.server.listen(port || this.port || 0, HOST, resolve);
		});
		this.port = this.server.address().port;
		this.issuer = `${tls ? 'https' : 'http'}://${HOST}:${this.port}`;
		this.tls = tls;
		if (!this.provider)
			this.rotate(keys ?? [signingKey()]);
		return this;
	}
	// Away: nobody listens, and connections that are open break.
	async stop() {
		if (!this.server)
			return;
		const closed = new Promise((resolve) => this.server.close(resolve));
		this.server.closeAllConnections();
		this.server = undefined;
		await closed;
	}
	// The first key signs from now on; the others still verify.
	rotate(keys) {
		this.keys = keys;
		this.provider = new Provider(this.issuer, {
			clients: [{ client_id: 'alice', client_secret: 'secret', grant_types: ['client_credentials'],
				redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post' }],
			jwks: { keys },
			cookies: { keys: ['test'] },
			extraTokenClaims: () => this.claims,
			features: {
				devInteractions: { enabled: false },
				clientCredentials: { enabled: true },
				resourceIndicators: {
					enabled: true,
					defaultResource: () => 'urn:models',
					getResourceServerInfo: (_, resource) => ({ scope: 'chat list',
						audience: resource === 'urn:models' ? AUDIENCE : resource,
						accessTokenTTL: this.ttl, accessTokenFormat: 'jwt',
						jwt: { sign: { alg: keys[0].alg } } }),
				},
			},
		});
		this.callback = this.provider.callback();
	}
	serve(req, res) {
		const path = req.url.split('?')[0];
		this.hits[path] = (this.hits[path] ?? 0) + 1;
		const answer = this.answers[path] ?? this.answers['*'];
		if (answer && path !== '/token')
			answer(req, res, () => this.callback(req, res));
		else
			this.callback(req, res);
	}
	count(path) {
		return this.hits[path] ?? 0;
	}
	// A token as a client gets it.
	async token(resource = 'urn:models') {
		const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'alice',
			client_secret: 'secret', scope: 'chat', resource }).toString();
		const r = await new Promise((resolve, reject) => {
			const { request } = this.tls ? https : http;
			const req = request({ host: HOST, port: this.port, path: '/token', method: 'POST', agent: false,
				rejectUnauthorized: false, headers: { 'content-type': 'application/x-www-form-urlencoded',
					'content-length': body.length } }, (res) => {
				const parts = [];
				res.on('data', (d) => parts.push(d));
				res.on('end', () => resolve({ status: res.statusCode, text: Buffer.concat(parts).toString() }));
			});
			req.on('error', reject);
			req.end(body);
		});
		assert.equal(r.status, 200, r.text);
		return JSON.parse(r.text).access_token;
	}
	// A token that the provider would not give, by its own key or another one.
	async forge(claims = {}, { key = this.keys[0], kid = key.kid, header = {} } = {}) {
		const now = Math.floor(Date.now() / 1000);
		const all = { iss: this.issuer, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 600, ...this.claims,
			...claims };
		return new jose.SignJWT(all).setProtectedHeader({ alg: key.alg, kid, ...header })
			.sign(await jose.importJWK(key, key.alg));
	}
}

export const bearer = (token) => ({ authorization: `Bearer ${token}` });

// Asks without a pause until told to stop, by several clients over kept connections; what is not 200 is
// collected. token() is asked before each request.
export function load(s, clients, token) {
	const l = { sent: 0, errors: [], stop: false };
	const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
	const client = async () => {
		while (!l.stop) {
			try {
				const r = await s.chat(null, { headers: bearer(await token()), agent });
				if (r.status !== 200)
					l.errors.push(`${r.status} ${r.text} ${JSON.stringify(r.headers)}`);
			} catch (e) {
				l.errors.push(String(e));
			}
			l.sent++;
		}
	};
	const all = Promise.all(Array.from({ length: clients }, client));
	l.more = async (n) => {
		const goal = l.sent + n;
		await until(() => l.sent >= goal || l.errors.length > 0, `${n} more requests`);
	};
	l.end = async () => {
		l.stop = true;
		await all;
		agent.destroy();
	};
	s.onEnd(l.end);
	return l;
}
