// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Policies over attributes, from the request to the audit record: the shipped ones as a table of decisions, in
// whichever order they stand; what explain says; conditions; and what a wrong file is answered with.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { line, run, site, MERLOND, MODULES } from './lib.mjs';

const SHIPPED = fs.readFileSync(path.join(import.meta.dirname, '../../etc/abac.conf'), 'utf8');
const ABAC = line('authz_abac', 'requisite', 'policy_file = "abac.conf";');
const MODELS = `models = (
  { id = "churn-*"; attributes = { org = "acme"; environment = "staging"; }; },
  { id = "churn-live"; attributes = { org = "acme"; environment = "production"; risk = 3; }; },
  { id = "alias"; attributes = { id = "churn-1"; type = "tool"; org = "acme"; environment = "production"; }; },
  { id = "fraud"; attributes = { org = "globex"; environment = "production"; }; },
  { id = "odd"; attributes = { org = "acme"; risk = "high"; }; } );`;

const POLICIES = {
	'own-org-models': `{ name = "own-org-models"; effect = "allow"; principal = { team = "data_science"; };
resource = { type = "model"; org = { same_as = "principal.org"; }; }; action = [ "read", "predict" ]; }`,
	'own-org-admins': `{ name = "own-org-admins"; effect = "allow"; principal = { roles = "model_admin"; };
resource = { org = { same_as = "principal.org"; }; }; }`,
	'keep-production': `{ name = "keep-production"; effect = "deny";
resource = { type = "model"; environment = "production"; }; action = "delete"; }`,
};
const file = (names, more = '') => `${more}\npolicies = (\n${names.map((n) => POLICIES[n]).join(',\n')} );\n`;
// "NAME (FILE:LINE)", by the line in which the name stands.
const label = (s, name) => {
	if (!name)
		return `default deny (${s.file('abac.conf')})`;
	const at = s.read('abac.conf').split('\n').findIndex((l) => l.includes(`name = "${name}"`)) + 1;
	assert.ok(at > 0, name);
	return `${name} (${s.file('abac.conf')}:${at})`;
};
const ASK = {
	read: (m) => ['GET', `/v1/models/${m}`],
	delete: (m) => ['DELETE', `/v1/models/${m}`],
	predict: (m) => ['POST', '/v1/chat/completions', JSON.stringify({ model: m, messages: [] })],
	train: (m) => ['POST', '/v1/fine_tuning/jobs', JSON.stringify({ model: m })],
};
async function ask(s, who, action, model) {
	const [method, p, body] = ASK[action](model);
	return s.request(p, { method, body, headers: { ...s.bearer(who),
		...(body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {}) } });
}
async function decision(s, r) {
	const record = await s.record(r.headers['x-request-id']);
	return { record, d: record.decisions.find((x) => x.module === 'authz_abac') };
}
async function explain(s, who, action, model) {
	const [method, p, body] = ASK[action](model);
	const r = await s.ctl('explain', '--json', '--method', method, '--path', p,
		'--header', `authorization: Bearer ${s.keys[who]}`,
		...(body ? ['--header', 'content-type: application/json', '--body', s.write('body.json', body)] : []));
	assert.equal(r.code, 0, r.stderr);
	return JSON.parse(r.stdout);
}
async function keys(s) {
	await s.key('ada', '--org', 'acme', '--team', 'data_science');
	await s.key('gus', '--org', 'globex', '--team', 'data_science');
	await s.key('root', '--org', 'acme', '--team', 'platform', '--role', 'model_admin', '--role', 'other');
	await s.key('sam', '--org', 'acme', '--team', 'sales');
	await s.key('nobody');
}

describe('authz_abac: the shipped policies', () => {
	const s = site({ after });
	before(async () => {
		await s.demo();
		await keys(s);
		s.write('abac.conf', SHIPPED);
		await s.gateway({ authz: ABAC, top: MODELS });
	});
	const own = 'own-org-models', admins = 'own-org-admins', keep = 'keep-production';
	const table = [
		// Data scientists read and predict on models of their own organisation.
		['ada', 'read', 'churn-1', own], ['ada', 'predict', 'churn-1', own], ['ada', 'predict', 'churn-live', own],
		['ada', 'train', 'churn-1', null], ['ada', 'delete', 'churn-1', null],
		['ada', 'read', 'fraud', null], ['ada', 'predict', 'fraud', null], ['ada', 'predict', 'unlisted', null],
		['gus', 'predict', 'fraud', own], ['gus', 'predict', 'churn-1', null],
		['sam', 'read', 'churn-1', null], ['nobody', 'read', 'churn-1', null], ['nobody', 'predict', 'unlisted', null],
		// Nobody deletes production models.
		['root', 'predict', 'churn-1', admins], ['root', 'train', 'churn-live', admins],
		['root', 'delete', 'churn-1', admins], ['root', 'delete', 'churn-live', keep, 'deny'],
		['ada', 'delete', 'churn-live', keep, 'deny'], ['sam', 'delete', 'fraud', keep, 'deny'],
		['nobody', 'delete', 'fraud', keep, 'deny'], ['gus', 'delete', 'fraud', keep, 'deny'],
		['root', 'delete', 'alias', keep, 'deny'], ['ada', 'read', 'alias', own],
		['root', 'delete', 'fraud', keep, 'deny'], ['root', 'predict', 'fraud', null],
	];
	async function decides() {
		for (const [who, action, model, policy, deny] of table) {
			const what = `${who} ${action} ${model}`;
			const allowed = policy && !deny;
			const r = await ask(s, who, action, model);
			assert.equal(r.status === 403, !allowed, `${what}: ${r.status}`);
			const { record, d } = await decision(s, r);
			assert.equal(d.code, allowed ? 'OK' : deny ? 'DENIED' : 'NOCRED', what);
			assert.equal(d.policy, label(s, policy), what);
			assert.equal(record.status, allowed ? record.status : 'denied', what);
			if (!allowed) {
				assert.match(record.reason, deny ? /policy keep-production denies it/ : /no policy allows it/, what);
				assert.doesNotMatch(r.text, /keep-production|abac/, 'the client is not told the rules');
				assert.equal(r.headers['x-should-retry'], 'false');
			}
		}
	}

	test('as shipped', decides);
	test('in the order of the file and against it', async () => {
		for (const names of [[own, admins, keep], [keep, admins, own], [admins, keep, own]]) {
			s.replace('abac.conf', file(names));
			const r = await s.reload();
			assert.equal(r.code, 0, r.stderr);
			await decides();
		}
	});
	test('explain names the same policy', async () => {
		for (const [who, action, model, policy, deny] of table) {
			const told = await explain(s, who, action, model);
			const what = `${who} ${action} ${model}`;
			assert.equal(told.allowed, Boolean(policy && !deny), what);
			assert.equal(told.decisions.find((d) => d.module === 'authz_abac').policy, label(s, policy), what);
		}
		const text = await s.ctl('explain', '--method', 'DELETE', '--path', '/v1/models/churn-live',
			'--header', `authorization: Bearer ${s.keys.root}`);
		assert.ok(text.stdout.includes(`authz_abac: DENIED by ${label(s, keep)}`), text.stdout);
	});
	test('first-match goes by the order', async () => {
		for (const [names, status] of [[[admins, keep], 200], [[keep, admins], 403]]) {
			s.replace('abac.conf', file(names, 'combining = "first-match";'));
			assert.equal((await s.reload()).code, 0);
			const r = await ask(s, 'root', 'delete', 'churn-live');
			assert.equal(r.status === 403, status === 403);
			assert.equal((await decision(s, r)).d.policy, label(s, names[0]));
		}
	});
});

describe('authz_abac: conditions and wrong files', () => {
	const s = site({ after });
	const policies = (...list) => `policies = (\n${list.join(',\n')} );\n`;
	const allow = (name, rest) => `{ name = "${name}"; effect = "allow"; ${rest} }`;
	before(async () => {
		await s.demo();
		await keys(s);
		s.write('abac.conf', policies(allow('all', '')));
		await s.gateway({ authz: ABAC, top: MODELS });
	});
	async function load(text) {
		s.replace('abac.conf', text);
		const r = await s.reload();
		assert.equal(r.code, 0, r.stderr);
	}

	test('circumstances of a request', async () => {
		const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
		const today = new Date().getUTCDay();
		// Yesterday to tomorrow, so that midnight may pass meanwhile.
		const near = [6, 0, 1].map((d) => days[(today + d) % 7]).join(',');
		const far = [2, 3, 4, 5].map((d) => days[(today + d) % 7]).join(',');
		for (const [condition, allowed] of [
			['source_ip = { cidr = [ "127.0.0.0/8" ]; };', true],
			['source_ip = { cidr = [ "10.0.0.0/8", "2000::/3" ]; };', false],
			['source_ip = { not = { cidr = "10.0.0.0/8"; }; };', true],
			[`time = { time = "${near} 00:00-24:00 UTC"; };`, true],
			[`time = { time = "${far} 00:00-24:00 UTC"; };`, false],
			[`time = { not = { time = "${far} UTC"; }; };`, true],
			['time = { gt = "2026-01-01T00:00:00Z"; };', true],
			['time = { lt = "2026-01-01T00:00:00+02:00"; };', false],
			['req = { path = "/v1/models/*"; method = "GET"; };', true],
			['req = { host = "elsewhere"; };', false],
			['environment = "staging";', true],
			['environment = { not = "staging"; };', false],
			['id = { sub = "ada"; team = { in = [ "x", "data_*" ]; }; };', true],
			['res = { risk = { present = false; }; };', true],
			['res = { risk = { not = 5; }; };', false],
			['tls = { version = { present = false; }; };', true],
			['x = { auth_oidc = { acr = "mfa"; }; };', false],
		]) {
			await load(policies(allow('p', `condition = { ${condition} };`)));
			const r = await ask(s, 'ada', 'read', 'churn-1');
			assert.equal(r.status !== 403, allowed, condition);
		}
	});

	test('numbers of models; what cannot be evaluated denies and says why', async () => {
		await load(policies(allow('all', ''), '{ name = "risky"; effect = "deny"; resource = { risk = { gt = 2; }; }; }'));
		assert.notEqual((await ask(s, 'ada', 'read', 'churn-1')).status, 403, 'without the attribute');
		let r = await ask(s, 'ada', 'read', 'churn-live');
		assert.equal(r.status, 403);
		assert.equal((await decision(s, r)).d.policy, label(s, 'risky'));
		r = await ask(s, 'ada', 'read', 'odd');
		assert.equal(r.status, 403);
		const { record, d } = await decision(s, r);
		assert.equal(d.code, 'DENIED');
		assert.equal(d.policy, label(s, 'risky'));
		assert.match(record.reason, /policy risky cannot be evaluated: res\.risk is not a number/);
	});

	test('"acme-*" matches "acme-team"', async () => {
		await s.key('tess', '--team', 'acme-team');
		await load(policies(allow('p', 'principal = { team = "acme-*"; };')));
		assert.notEqual((await ask(s, 'tess', 'read', 'churn-1')).status, 403);
		assert.equal((await ask(s, 'sam', 'read', 'churn-1')).status, 403);
	});

	test('a wrong file is refused with every error and its line, and changes nothing', async () => {
		await load(policies(allow('all', '')));
		s.replace('abac.conf', `policies = (
{ name = "a"; effect = "allow";
  principal = { orgg = "x"; };
  action = "reda"; },
{ name = "a"; effect = "maybe";
  condition = { environmnt = "x";
    source_ip = { cidr = [ "10.0.0.1/8" ]; };
    time = "Mon-Fri 08:00-18:00 Europe/Nowhere"; }; },
{ effect = "deny"; resource = { risk = { lt = "5"; }; }; } );
`);
		const wants = [[3, /orgg is no attribute of the principal; did you mean "org"\?/],
			[4, /names "reda", which is no action; did you mean "read"\?/], [6, /environmnt is no condition; did you mean "environment"\?/],
			[7, /"10\.0\.0\.1\/8", which is no network/], [8, /"Europe\/Nowhere", which is no time zone/],
			[5, /"a" stands here already/], [9, /lt must be an integer/]];
		const t = await run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', MODULES]);
		assert.equal(t.code, 78);
		const text = t.stdout + t.stderr;
		const said = (at, what) => text.split('\n').some((l) => l.includes(`abac.conf:${at}: `) && what.test(l));
		// What the table of the host finds keeps the module from being asked.
		for (const [at, what] of [[5, /effect must be one of allow\|deny/], [9, /name/]])
			assert.ok(said(at, what), `${at} ${what}\n${text}`);
		s.replace('abac.conf', s.read('abac.conf').replace('"maybe"', '"deny"').replace('{ effect = "deny"; resource', '{ name = "b"; effect = "deny"; resource'));
		const u = await run(MERLOND, ['-t', '-c', s.file('merlon.conf'), '-m', MODULES]);
		assert.equal(u.code, 78);
		for (const [at, what] of wants)
			assert.ok((u.stdout + u.stderr).split('\n').some((l) => l.includes(`abac.conf:${at}: `) && what.test(l)),
				`${at} ${what}\n${u.stdout}${u.stderr}`);
		const r = await s.reload();
		assert.equal(r.code, 1);
		assert.match(r.stdout + r.stderr, /abac\.conf:3: /);
		const still = await ask(s, 'ada', 'read', 'churn-1');
		assert.notEqual(still.status, 403);
		assert.ok((await decision(s, still)).d.policy.startsWith('all ('));
	});

	test('reloads under load: each request has one file\'s answer', async () => {
		await load(policies(allow('one', '')));
		let over = false;
		const asked = (async () => {
			const seen = new Set();
			while (!over) {
				const rs = await Promise.all(Array.from({ length: 8 }, () => ask(s, 'ada', 'read', 'churn-1')));
				for (const r of rs) {
					assert.notEqual(r.status, 403);
					seen.add((await decision(s, r)).d.policy.split(' ')[0]);
				}
			}
			return seen;
		})();
		for (let i = 0; i < 10; i++)
			await load(policies(allow(i % 2 ? 'one' : 'two', '')));
		over = true;
		for (const name of await asked)
			assert.match(name, /^(one|two)$/);
	});

	test('a thousand policies and ten thousand models', async () => {
		const models = Array.from({ length: 10_000 }, (_, i) =>
			`{ id = "m-${i}${i % 2 ? '-*' : ''}"; attributes = { org = "o${i % 1000}"; }; }`);
		s.replace('abac.conf', policies(...Array.from({ length: 1000 }, (_, i) =>
			allow(`p${i}`, `resource = { org = "o${i}"; }; action = "read";`))));
		const r = await s.reload({ top: `models = ( ${models.join(',\n')} );` });
		assert.equal(r.code, 0, r.stderr);
		for (const [model, policy] of [['m-0', 'p0'], ['m-998', 'p998'], ['m-9999-x', 'p999'], ['m-9999', null],
			['m-4321-', 'p321'], ['nothing', null]]) {
			const got = await ask(s, 'ada', 'read', model);
			assert.equal(got.status === 403, !policy, model);
			assert.equal((await decision(s, got)).d.policy, label(s, policy), model);
		}
	});
});
