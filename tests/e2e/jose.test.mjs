// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The token verification of auth_oidc against npm's jose, over thousands of mutated tokens: what we accept,
// it accepts; what we call expired, it calls expired; and where it accepts what we refuse, the reason is one
// of those where we mean to be stricter. MERLON_SEED repeats a run.
import assert from 'node:assert/strict';
import { constants, createHmac, generateKeyPairSync, randomInt, sign } from 'node:crypto';
import path from 'node:path';
import { test } from 'node:test';
import * as jose from 'jose';
import { run } from './lib.mjs';

const CHECK = path.join(process.env.MERLON_BUILD, 'modules/auth_oidc/jose_check');
const NOW = 1_900_000_000;
const SKEW = 60;
const ISSUER = 'https://issuer.example';
const AUDIENCE = ['api', 'other'];
const SECRET = 'a secret of at least 32 bytes, shared';
const PUBLIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const HMAC = ['HS256', 'HS384', 'HS512'];
const CLAIMS = { iss: ISSUER, aud: 'api', sub: 'alice', exp: NOW + 100, iat: NOW - 100, nbf: NOW - 100 };
const ROUNDS = 300;

// What we refuse and others need not, by our words.
const STRICTER = [
	/not canonical base64url/, /stands twice/, /nested too deeply/, /what should be JSON is not/,
	/has crit/, /has b64/, /compressed/, /encrypted/, /its own key/, /must be text/, /kid is too long/,
	/nested tokens/, /not an integer/, /issued in the future/, /audience is not text/, /too long/,
	/the token's key is not known/, /not a token/, /three parts/,
];

// mulberry32: small, seeded, good enough to choose mutations.
const seed = Number(process.env.MERLON_SEED ?? randomInt(2 ** 32 - 1));
let state = seed;
function random() {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), 1 | state);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];

const pairs = {
	rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
	rsa2: generateKeyPairSync('rsa', { modulusLength: 3072 }),
	p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
	p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
	p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
	ed: generateKeyPairSync('ed25519'),
};
const jwk = (name, more = {}) => ({ ...pairs[name].publicKey.export({ format: 'jwk' }), kid: name, ...more });
const SETS = {
	kids: { keys: Object.keys(pairs).map((name) => jwk(name)) },
	bare: { keys: Object.keys(pairs).map((name) => jwk(name, { kid: undefined })) },
	bound: { keys: [jwk('rsa', { alg: 'RS256', use: 'sig' }), jwk('rsa2', { alg: 'PS512' }),
		jwk('p256', { alg: 'ES256', key_ops: ['verify'] }), jwk('p384', { use: 'enc' }),
		jwk('p521', { key_ops: ['sign'] }), jwk('ed', { alg: 'EdDSA' })] },
	same: { keys: [jwk('rsa2', { kid: 'x' }), jwk('rsa', { kid: 'x' }), jwk('p256', { kid: 'x' })] },
};
const ORDER = {
	32: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
	48: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
	66: BigInt('0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff' +
		'a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409'),
};

const b64 = (v) => Buffer.from(v).toString('base64url');
const keyFor = (alg) => ({ ES256: 'p256', ES384: 'p384', ES512: 'p521', EdDSA: 'ed' })[alg] ?? 'rsa';
const bits = (alg) => (alg === 'EdDSA' ? null : `sha${alg.slice(2)}`);

function signature(alg, input, name = keyFor(alg), options = {}) {
	if (alg.startsWith('HS'))
		return createHmac(bits(alg), options.secret ?? SECRET).update(input).digest();
	const key = { key: pairs[name].privateKey, dsaEncoding: 'ieee-p1363', ...options };
	if (alg.startsWith('PS'))
		Object.assign(key, { padding: constants.RSA_PKCS1_PSS_PADDING,
			saltLength: options.saltLength ?? constants.RSA_PSS_SALTLEN_DIGEST });
	const digest = name === 'ed' ? null : options.digest ?? bits(alg) ?? 'sha256';
	return sign(digest, Buffer.from(input), key);
}

// header and claims: text as it stands, or an object.
const text = (v) => (typeof v === 'string' ? v : JSON.stringify(v));
function mint(alg, header, claims = CLAIMS, name = keyFor(alg), options = {}) {
	const input = `${b64(text(header))}.${b64(text(claims))}`;
	return `${input}.${b64(signature(alg, input, name, options))}`;
}
const usual = (alg) => ({ alg, kid: keyFor(alg) });
const good = (alg) => mint(alg, usual(alg));

function edit(z) {
	const at = below(z.length);
	const to = below(z.length);
	return pick([
		() => z.slice(0, at) + String.fromCharCode(z.charCodeAt(at) ^ (1 << below(7))) + z.slice(at + 1),
		() => z.slice(0, at) + z[to] + z.slice(at + 1),
		() => z.slice(0, at) + z.slice(at + 1),
		() => z.slice(0, at) + pick([...'=+/-_.A \n\t\0~é']) + z.slice(at),
		() => z.slice(0, at),
		() => z.slice(at),
		() => z.slice(0, at) + z.slice(Math.max(0, at - below(8))),
		() => z + z.slice(at),
	])();
}
const withPart = (z, i, fn) => z.split('.').map((p, k) => (k === i ? fn(p) : p)).join('.');

const HEADER_EDITS = [
	(a) => `{"alg":"${a}","kid":"${keyFor(a)}","crit":[]}`, (a) => `{"alg":"${a}","crit":["exp"],"exp":1}`,
	(a) => `{"alg":"${a}","crit":["b64"],"b64":true}`, (a) => `{"alg":"${a}","b64":false}`,
	(a) => `{"alg":"${a}","crit":["b64"],"b64":false}`, (a) => `{"alg":"${a}","zip":"DEF"}`,
	(a) => `{"alg":"${a}","enc":"A128GCM"}`, (a) => `{"alg":"${a}","cty":"JWT"}`,
	(a) => `{"alg":"${a}","jwk":${JSON.stringify(jwk('rsa'))}}`, (a) => `{"alg":"${a}","jku":"https://a.example"}`,
	(a) => `{"\\u0061lg":"${a}","kid":"${keyFor(a)}"}`, (a) => `{"alg":"none","alg":"${a}"}`,
	(a) => `{"alg":"${a}","alg":"none"}`, (a) => `{"alg":"${a}","\\u0061lg":"${a}"}`,
	(a) => `{"alg":"${a.toLowerCase()}"}`, (a) => `{"alg":" ${a}"}`, (a) => `{"alg":["${a}"]}`,
	(a) => `{"Alg":"${a}"}`, (a) => `{"ALG":"none","alg":"${a}"}`, (a) => `{"alg":"${a}\\u0000"}`,
	(a) => `\ufeff{"alg":"${a}"}`, (a) => ` {"alg":"${a}"} `, (a) => `{"alg":"${a}"}{}`, (a) => `[{"alg":"${a}"}]`,
	(a) => `{"alg":"${a}","typ":"JWT","x5t":"AA","nonce":[1,2,{"a":null}]}`, (a) => `{"alg":"${a}","typ":1}`,
	(a) => `{"alg":"${a}","__proto__":{"kid":"rsa"}}`, (a) => `{"__proto__":{"alg":"${a}"}}`,
	(a) => `{"alg":"${a}","constructor":1,"toString":"x"}`, (a) => `{"alg":"${a}","a":1e999}`,
	(a) => `{"alg":"${a}","a":"\\ud800"}`, (a) => `{"alg":"${a}","kid":"${keyFor(a)}",}`,
	(a) => `{"alg":"${a}","a":${'['.repeat(40)}${']'.repeat(40)}}`, (a) => `{"alg":"${a}","a":01}`,
];
const KIDS = ['rsa', 'rsa2', 'p256', 'p384', 'p521', 'ed', 'x', 'RSA', '', ' rsa', 'rsa ', 'rs\\u0061', '../rsa',
	'rsa\\u0000', 'é', 'k'.repeat(256), 'k'.repeat(257), "' or 1=1", '__proto__'];
const TIMES = ['1900000100', '1900000100.0', '1.9000001e9', '1900000100.5', '"1900000100"', '1e3', '1e999', 'NaN',
	'Infinity', 'null', 'true', '[1900000100]', '{}', '-1', '-0', '0', '0x71', '9007199254740991',
	'9007199254740992', '9223372036854775807', '99999999999999999999', '1899999940', '1899999941', '1900000060',
	'1900000061', '""', '01900000100', '1900000100 ', '+1'];
const AUDIENCES = ['"api"', '["api"]', '["x","other"]', '[]', '[1,"api"]', '["api",1]', '[["api"]]', '{"0":"api"}',
	'null', '"API"', '"api "', '"\\u0061pi"', '""', 'true', '"api other"'];
const ISSUERS = [`"${ISSUER}"`, `"${ISSUER}/"`, `["${ISSUER}"]`, '""', 'null', `"${ISSUER.toUpperCase()}"`,
	`"${ISSUER.replace('/', '\\/')}"`, `"${ISSUER}\\u0000"`, '1'];

function claimsEdit() {
	const c = { iss: JSON.stringify(ISSUER), aud: '"api"', exp: '1900000100', iat: '1899999900', nbf: '0' };
	const name = pick(Object.keys(c));
	const value = () => pick({ iss: ISSUERS, aud: AUDIENCES }[name] ?? TIMES);
	const members = pick([
		() => ({ ...c, [name]: value() }),
		() => ({ ...c, [name]: undefined }),
		() => ({ ...c, [`\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`]: value() }),
		() => ({ ...c, [name.toUpperCase()]: value() }),
		() => ({ ...c, deep: '{"a":{"b":1,"b":2}}' }),
		() => ({ ...c, [name]: value(), __proto__text: '{"exp":1}' }),
	])();
	const pairsOf = Object.entries(members).filter(([, v]) => v !== undefined);
	if (below(4) === 0)
		pairsOf.push([name, value()]);
	return `{${pairsOf.map(([k, v]) => `"${k}":${v}`).join(',')}}${pick(['', '', '', ' ', 'x', '{}'])}`;
}

function ecdsa(alg) {
	const width = { ES256: 32, ES384: 48, ES512: 66 }[alg];
	const n = ORDER[width];
	const hex = (v, digits) => (v < 0n ? 0n : v).toString(16).padStart(digits, '0').slice(-digits);
	const bytes = (v, w = width) => Buffer.from(hex(v, 2 * w), 'hex');
	const input = good(alg).split('.').slice(0, 2).join('.');
	const sig = signature(alg, input);
	const r = BigInt(`0x${sig.subarray(0, width).toString('hex')}`);
	const s = BigInt(`0x${sig.subarray(width).toString('hex')}`);
	const pair = pick([[0n, 0n], [0n, 1n], [1n, 0n], [1n, 1n], [n, s], [r, n], [n, n], [r + n, s], [r, s + n], [s, r],
		[r, n - s], [n - r, s], [r, 0n], [0n, s], [r, s], [n - 1n, n - 1n]]);
	const forms = [
		() => Buffer.concat(pair.map((v) => bytes(v))),
		() => Buffer.concat([r, s].map((v) => bytes(v, width + 1))),
		() => Buffer.concat([r, s].map((v) => bytes(v, width - 1))),
		() => sign(bits(alg), Buffer.from(input), { key: pairs[keyFor(alg)].privateKey, dsaEncoding: 'der' }),
		() => Buffer.concat([sig, Buffer.alloc(1 + below(4))]),
		() => sig.subarray(0, below(sig.length)),
	];
	return `${input}.${b64(pick([forms[0], forms[0], ...forms])())}`;
}

function confused() {
	const { publicKey } = pairs.rsa;
	const pem = publicKey.export({ type: 'spki', format: 'pem' });
	const secret = pick([pem, pem.trim(), publicKey.export({ type: 'spki', format: 'der' }),
		publicKey.export({ type: 'pkcs1', format: 'pem' }), publicKey.export({ type: 'pkcs1', format: 'der' }),
		JSON.stringify(jwk('rsa')), Buffer.from(jwk('rsa').n, 'base64url'), jwk('rsa').n, '']);
	const alg = pick(HMAC);
	return mint(alg, { alg: pick([alg, alg, 'RS256']), ...pick([{ kid: 'rsa' }, {}]) }, CLAIMS, 'rsa', { secret });
}

function base64Variant(z) {
	const i = below(3);
	return withPart(z, i, (p) => pick([
		() => `${p}=`, () => `${p}==`, () => p + '='.repeat((4 - (p.length % 4)) % 4), () => `${p}A`,
		() => p.replaceAll('-', '+').replaceAll('_', '/'), () => `${p}\n`, () => ` ${p}`,
		() => `${p.slice(0, 4)} ${p.slice(4)}`, () => `${p.slice(0, 4)}\r\n${p.slice(4)}`, () => p.slice(0, -1),
		() => p.slice(0, -1) + String.fromCharCode(p.charCodeAt(p.length - 1) + 1), () => '',
		() => encodeURIComponent(`${p}=`),
	])());
}

function shapes(alg) {
	const [h, c, s] = good(alg).split('.');
	return pick([`${h}.${c}.${s}.`, `.${h}.${c}.${s}`, `${h}.${c}.`, `${h}.${c}`, `${h}..${s}`, `.${c}.${s}`,
		`${h}.${c}.${s}.${s}.${s}`,
		JSON.stringify({ payload: c, protected: h, signature: s }), `${b64('{"alg":"none"}')}.${c}.`,
		`${b64('{"alg":"none"}')}.${c}.${s}`, `${b64('{"alg":"dir","enc":"A128GCM"}')}..${c}.${s}.${s}`,
		`Bearer ${h}.${c}.${s}`, mint(alg, { ...usual(alg), cty: 'JWT' }, `${h}.${c}.${s}`),
		`${h}.${c}.${'A'.repeat(9000)}`, `${h}.${c}.${'A'.repeat(s.length)}`]);
}

// Each gives a token and the set it is tried with.
const MUTATIONS = {
	edits: () => ({ token: edit(pick([1, 2, 3]) === 1 ? edit(good(pick(PUBLIC))) : good(pick(PUBLIC))) }),
	'header edits, signed again': (a) => ({ token: mint(a, pick(HEADER_EDITS)(a)) }),
	'header edits, not signed again': (a) => ({
		token: withPart(good(a), 0, () => b64(pick(HEADER_EDITS)(pick([a, ...PUBLIC])))) }),
	'another algorithm in the header': (a) => ({
		token: mint(a, { kid: keyFor(a),
			alg: pick([...PUBLIC, ...HMAC, 'none', 'None', 'NONE', 'ES256K', 'Ed25519', 'RSA1_5', '']) }) }),
	'another key': (a) => ({ token: mint(a.startsWith('E') ? 'RS256' : a, usual(a), CLAIMS, pick(['rsa', 'rsa2'])) }),
	'a public key as secret': () => ({ token: confused() }),
	'ECDSA signatures': () => ({ token: ecdsa(pick(['ES256', 'ES384', 'ES512'])) }),
	kids: (a) => {
		const kid = pick([`"${pick(KIDS)}"`, `"${keyFor(a)}"`, '1', 'null', '["rsa"]']);
		return { token: mint(a, `{"alg":"${a}","kid":${kid}}`) };
	},
	base64: (a) => ({ token: base64Variant(good(a)) }),
	claims: (a) => ({ token: mint(a, usual(a), claimsEdit()) }),
	'past their end': (a) => {
		const claims = { ...CLAIMS, exp: NOW - SKEW - 1 + below(3) };
		const token = mint(a, usual(a), claims);
		return { token: below(2) ? token : pick([() => edit(token), () => mint(a, usual(a), { ...claims, aud: 'x' }),
			() => mint(a, usual(a), { ...claims, nbf: NOW + SKEW + below(2) })])() };
	},
	'age and type': (a) => ({
		token: mint(a, { ...usual(a), typ: pick(['at+jwt', 'AT+JWT', 'application/at+jwt', 'JWT', '', undefined, 1]) },
			{ ...CLAIMS, iat: pick([NOW - 360, NOW - 361, NOW - 359, NOW + 60, NOW + 61, 0, undefined, '1']) }),
		rules: pick([{ max_age: 300 }, { typ: 'at+jwt' }, { typ: 'application/at+jwt', max_age: 300 }]) }),
	'RSA with other parameters': (a) => ({ token: mint(pick(['RS256', 'PS256', 'PS512']),
		{ alg: pick(['RS256', 'PS256', 'PS512', 'RS512']), kid: 'rsa' }, CLAIMS, 'rsa',
		pick([{ saltLength: below(65) }, { saltLength: 32 }, { digest: 'sha1' },
			{ digest: pick(['sha256', 'sha384', 'sha512', 'sha3-256']) }])) }),
	shapes: (a) => ({ token: shapes(a) }),
	'other sets': (a) => {
		const kid = pick(['x', keyFor(a), undefined]);
		const name = pick([keyFor(a), a.startsWith('E') ? keyFor(a) : 'rsa2']);
		return { token: mint(a, { alg: a, kid }, CLAIMS, name), set: pick(Object.keys(SETS)) };
	},
	HMAC: () => {
		const alg = pick(HMAC);
		const header = pick([{ alg }, { alg: pick([...HMAC, 'none', 'RS256']) }, { alg, kid: 'any' }]);
		const secret = pick([SECRET, SECRET, `${SECRET}x`, '']);
		const token = mint(alg, header, pick([CLAIMS, CLAIMS, claimsEdit()]), '', { secret });
		return { token: pick([token, token, edit(token)]), set: 'secret' };
	},
};

const question = ({ token, set = 'kids', rules }) => ({
	token, iss: ISSUER, aud: AUDIENCE, now: NOW, skew: SKEW, ...rules,
	...(set === 'secret' ? { secret: SECRET, algs: HMAC } : { keys: JSON.stringify(SETS[set]), algs: PUBLIC }),
});

async function ask(cases) {
	const r = await run(CHECK, [], { input: cases.map((c) => `${JSON.stringify(question(c))}\n`).join('') });
	assert.equal(r.code, 0, r.stderr);
	const lines = r.stdout.trimEnd().split('\n');
	assert.equal(lines.length, cases.length);
	return lines;
}

const locals = Object.fromEntries(Object.entries(SETS).map(([name, set]) => [name, jose.createLocalJWKSet(set)]));
async function oracle({ token, set = 'kids', rules = {} }) {
	const options = { algorithms: set === 'secret' ? HMAC : PUBLIC, issuer: ISSUER, audience: AUDIENCE,
		clockTolerance: SKEW, currentDate: new Date(NOW * 1000), requiredClaims: ['exp'], typ: rules.typ,
		maxTokenAge: rules.max_age };
	const attempt = async (key) => {
		try {
			await jose.jwtVerify(token, key, options);
			return 'OK';
		} catch (e) {
			if (e.code !== 'ERR_JWKS_MULTIPLE_MATCHING_KEYS')
				return e.code === 'ERR_JWT_EXPIRED' ? 'EXPIRED' : 'REFUSED';
			const answers = [];
			for await (const one of e)
				answers.push(await attempt(one));
			return answers.find((x) => x !== 'REFUSED') ?? 'REFUSED';
		}
	};
	return attempt(set === 'secret' ? new TextEncoder().encode(SECRET) : locals[set]);
}

test('tokens as they should be are accepted by both', async () => {
	const cases = [
		...PUBLIC.flatMap((a) => [{ token: good(a) }, { token: mint(a, { alg: a }) },
			{ token: mint(a, { alg: a }), set: 'bare' },
			{ token: mint(a, `{ "typ" : "JWT",\r\n "alg":"${a}" }`, ` ${JSON.stringify(CLAIMS)} `) }]),
		...['RS256', 'PS384', 'ES256'].map((a) => ({ token: mint(a, { alg: a, kid: 'x' }), set: 'same' })),
		...['RS256', 'ES256', 'EdDSA'].map((a) => ({ token: good(a), set: 'bound' })),
		...HMAC.map((a) => ({ token: mint(a, { alg: a }), set: 'secret' })),
	];
	const ours = await ask(cases);
	for (const [i, c] of cases.entries()) {
		assert.equal(ours[i], 'OK', c.token);
		assert.equal(await oracle(c), 'OK', c.token);
	}
});

test('P11: what we accept of mutated tokens, jose accepts', async (t) => {
	t.diagnostic(`MERLON_SEED=${seed}`);
	const cases = [];
	for (const [name, mutation] of Object.entries(MUTATIONS)) {
		for (let i = 0; i < ROUNDS; i++)
			cases.push({ name, ...mutation(pick(PUBLIC)) });
	}
	const ours = await ask(cases);
	const count = { OK: 0, EXPIRED: 0, REFUSED: 0, stricter: 0 };
	for (const [i, c] of cases.entries()) {
		const [, verdict, why] = /^(OK|EXPIRED|REFUSED) ?(.*)$/.exec(ours[i]);
		const theirs = await oracle(c);
		const what = `${c.name}: we say ${ours[i]}, jose ${theirs} (MERLON_SEED=${seed}): ${JSON.stringify(c.token)}`;
		count[verdict]++;
		if (verdict !== 'REFUSED') {
			assert.equal(theirs, verdict, what);
		} else if (theirs !== 'REFUSED') {
			count.stricter++;
			assert.ok(STRICTER.some((reason) => reason.test(why)), what);
		}
	}
	t.diagnostic(JSON.stringify(count));
	assert.ok(count.OK > 100 && count.EXPIRED > 50 && count.REFUSED > 1000, 'the mutations have lost their bite');
});
