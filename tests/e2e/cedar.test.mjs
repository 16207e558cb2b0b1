// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Random policies and requests, decided by authz_abac and by Cedar: where both languages can say the same, the
// decision and the policies that make it must be the same. MERLON_SEED repeats a run, MERLON_CASES makes it longer.
//
// A test is written for Cedar as two expressions, for "it holds" and "it does not hold": of what is missing neither
// is true, which is how authz_abac has it. Cedar ignores a policy that fails, authz_abac denies; so no generated one
// can fail. Cedar's "like" is for texts only, and IPv4 is no part of its IPv6, so lists and networks keep to that.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { run } from './lib.mjs';

const CHECK = path.join(process.env.MERLON_BUILD, 'modules/authz_abac/abac_check');
const SEED = Number(process.env.MERLON_SEED ?? Math.floor(Math.random() * 2 ** 32));
const SETS = Number(process.env.MERLON_CASES ?? 300);
const REQUESTS = 20;

// mulberry32
let state = SEED;
function random() {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), 1 | state);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const chance = (p) => random() < p;
const pick = (list) => list[below(list.length)];
const some = (make, least, most) => Array.from({ length: least + below(most - least + 1) }, make);
const pickSome = (list, p) => list.filter(() => chance(p));

const ACTIONS = ['predict', 'read', 'write', 'delete', 'train', 'evaluate', 'manage'];
const TEXTS = ['', 'a', 'b', 'ab', 'aab', 'acme', 'acme-team', 'acme-', 'Acme', 'team', 'a/b', 'x*y', 'gl\u00f6be'];
const GLOBS = ['*', 'a*', '*b', 'acme-*', '*-*', '*a*b', 'a*a*', '**', '*e*', 'a/*', '\u00f6*', '*\u00f6*'];
const ADDRESSES = ['10.0.0.1', '10.255.0.9', '192.0.2.77', '2001:db8::1', '2001:db8:1::9', 'fd00::7'];
const NETS = ['10.0.0.0/8', '10.0.0.1', '192.0.2.64/26', '0.0.0.0/0', '2001:db8::/48', '2001:db8::/32', 'fc00::/7'];

// What policies may ask: where it stands for us, what it is called, and its type.
const ATTRS = [
	{ part: 'principal', key: 'sub', ours: 'id.sub', type: 'text' },
	{ part: 'principal', key: 'org', ours: 'id.org', type: 'text' },
	{ part: 'principal', key: 'team', ours: 'id.team', type: 'text' },
	{ part: 'principal', key: 'roles', ours: 'id.roles', type: 'list' },
	{ part: 'resource', key: 'id', ours: 'res.id', type: 'text' },
	{ part: 'resource', key: 'org', ours: 'res.org', type: 'text' },
	{ part: 'resource', key: 'level', ours: 'res.level', type: 'number' },
	{ part: 'resource', key: 'open', ours: 'res.open', type: 'bool' },
	{ part: 'condition', key: 'environment', ours: 'res.environment', cedar: 'resource.environment', type: 'text' },
	{ part: 'condition', key: 'source_ip', ours: 'net.source', cedar: 'context.source_ip', type: 'address' },
	{ part: 'condition', group: 'req', key: 'method', ours: 'req.method', cedar: 'context.method', type: 'text' },
];
for (const a of ATTRS)
	a.cedar ??= `${a.part}.${a.key}`;
const has = (a) => a.cedar.replace('.', ' has ');
const quote = (s) => `"${s}"`;

// ---- operators: { ours, yes, no, absent }, absent being true, false, or null where neither holds ----
const yesOrNo = (ours, expression) => ({ ours, yes: expression, no: `!(${expression})`, absent: null });

function textOperator(a) {
	const globs = a.type === 'text';
	const one = () => (globs && chance(0.5) ? pick(GLOBS) : pick(TEXTS.filter((t) => !t.includes('*'))));
	const says = (s) => (a.type === 'list' ? `${a.cedar}.contains(${quote(s)})`
		: s.includes('*') ? `${a.cedar} like ${quote(s)}` : `${a.cedar} == ${quote(s)}`);
	if (chance(0.5)) {
		const s = one();
		return { ...yesOrNo(quote(s), says(s)), plain: true };
	}
	const list = some(one, 1, 4);
	return yesOrNo(`in = [ ${list.map(quote).join(', ')} ];`, list.map(says).join(' || '));
}
function sameOperator(a) {
	const b = pick(ATTRS.filter((x) => x.type === 'text' && x !== a));
	const name = b.part === 'condition' ? b.ours : chance(0.5) ? `${b.part}.${b.key}` : b.ours;
	const equal = a.type === 'list' ? `${a.cedar}.contains(${b.cedar})` : `${a.cedar} == ${b.cedar}`;
	return { ours: `same_as = "${name}";`, yes: `${has(b)} && ${equal}`, no: `${has(b)} && !(${equal})`, absent: null };
}
function numberOperator(a) {
	const n = below(9) - 3;
	const kind = pick(['lt', 'le', 'gt', 'ge', null]);
	const sign = { lt: '<', le: '<=', gt: '>', ge: '>=' }[kind];
	return kind ? yesOrNo(`${kind} = ${n};`, `${a.cedar} ${sign} ${n}`)
		: { ...yesOrNo(`${n}`, `${a.cedar} == ${n}`), plain: true };
}
function operator(a, depth) {
	if (chance(0.08)) {
		const b = chance(0.5);
		return { ours: `present = ${b};`, yes: `${b}`, no: `${!b}`, absent: !b };
	}
	if (depth < 3 && chance(0.2)) {
		const inner = operators(a, depth + 1);
		return { ours: `not = ${inner.ours};`, yes: inner.no, no: inner.yes,
			absent: inner.absent === null ? null : !inner.absent };
	}
	switch (a.type) {
	case 'number':
		return numberOperator(a);
	case 'bool': {
		const b = chance(0.5);
		return { ...yesOrNo(`${b}`, `${a.cedar} == ${b}`), plain: true };
	}
	case 'address': {
		const nets = some(() => pick(NETS), 1, 3);
		return yesOrNo(`cidr = [ ${nets.map(quote).join(', ')} ];`,
			nets.map((n) => `${a.cedar}.isInRange(ip("${n}"))`).join(' || '));
	}
	default:
		return chance(0.25) ? sameOperator(a) : textOperator(a);
	}
}
// The value at a key: one plain value, or a group of operators that must all hold.
function operators(a, depth = 0) {
	const list = some(() => operator(a, depth), 1, 2);
	const plain = list.find((o) => o.plain);
	if (plain)
		return plain;
	const seen = new Set();
	const all = list.filter((o) => !seen.has(o.ours.split(' ')[0]) && seen.add(o.ours.split(' ')[0]));
	const absents = all.map((o) => o.absent);
	return { ours: `{ ${all.map((o) => o.ours).join(' ')} }`,
		yes: all.map((o) => `(${o.yes})`).join(' && '), no: all.map((o) => `(${o.no})`).join(' || '),
		absent: absents.includes(false) ? false : absents.includes(null) ? null : true };
}

// ---- policies and requests ----
function policy(i) {
	const effect = chance(0.65) ? 'allow' : 'deny';
	const parts = { principal: [], resource: [], condition: [] };
	const conditions = [];
	for (const a of pickSome(ATTRS, 0.2)) {
		const value = operators(a);
		parts[a.part].push(a.group ? `${a.group} = { ${a.key} = ${value.ours}; };` : `${a.key} = ${value.ours};`);
		const when = `if ${has(a)} then (${value.yes}) else ${value.absent === true}`;
		conditions.push(chance(0.3) ? `unless { !(${when}) }` : `when { ${when} }`);
	}
	let action = '', scope = 'action';
	if (chance(0.5)) {
		const list = some(() => pick(ACTIONS), 1, 4);
		const inverse = chance(0.2);
		const set = `action in [${list.map((x) => `Action::"${x}"`).join(', ')}]`;
		const ours = `[ ${list.map(quote).join(', ')} ]`;
		action = inverse ? `action = { not = ${ours}; };` : `action = ${ours};`;
		if (inverse)
			conditions.push(`unless { ${set} }`);
		else
			scope = set;
	}
	const ours = `{ name = "p${i}"; effect = "${effect}"; ${action} ` +
		Object.entries(parts).filter(([, v]) => v.length > 0 || chance(0.1))
			.map(([k, v]) => `${k} = { ${v.join(' ')} };`).join(' ') + ' }';
	return { effect, ours, cedar: (word) => `${word} (principal, ${scope}, resource) ${conditions.join(' ')};` };
}
function value(a) {
	switch (a.type) {
	case 'number':
		return below(9) - 3;
	case 'bool':
		return chance(0.5);
	case 'list':
		return some(() => pick(TEXTS.filter((t) => t !== '')), 1, 3);
	case 'address':
		return pick(ADDRESSES);
	default:
		return pick(TEXTS);
	}
}
function request() {
	const attrs = { principal: {}, resource: {}, context: {} };
	const ours = [];
	for (const a of pickSome(ATTRS, 0.75)) {
		const v = value(a);
		const [where, key] = a.cedar.split('.');
		attrs[where][key] = a.type === 'address' ? { __extn: { fn: 'ip', arg: v } } : v;
		ours.push(`${a.ours}=${a.type === 'list' ? `[${v.join(',')}]`
			: a.type === 'number' && chance(0.5) ? `#${v}` : a.type === 'bool' && chance(0.5) ? `?${v}` : v}`);
	}
	const action = pick(ACTIONS);
	const principal = { type: 'User', id: 'u' }, resource = { type: 'Model', id: 'm' };
	return { ours: [`action=${action}`, ...ours].join(';'),
		call: { principal, resource, action: { type: 'Action', id: action }, context: attrs.context,
			entities: [{ uid: principal, attrs: attrs.principal, parents: [] },
				{ uid: resource, attrs: attrs.resource, parents: [] }] } };
}

// The policies that match, by number: as permits they are all determining.
function matching(id, r) {
	const answer = cedar.statefulIsAuthorized({ ...r.call, preparsedPolicySetId: id });
	assert.equal(answer.type, 'success', JSON.stringify(answer));
	const { decision, diagnostics } = answer.response;
	assert.deepEqual(diagnostics.errors, [], 'a generated policy fails');
	return { decision, reason: diagnostics.reason.map((x) => Number(x.slice(1))).sort((a, b) => a - b) };
}
function prepare(id, policies, word) {
	const staticPolicies = Object.fromEntries(policies.map((p, i) => [`p${i}`, p.cedar(word(p))]));
	const answer = cedar.preparsePolicySet(id, { staticPolicies });
	assert.equal(answer.type, 'success', JSON.stringify(answer) + JSON.stringify(staticPolicies));
}

test('random policies decide as Cedar does', async (t) => {
	t.diagnostic(`MERLON_SEED=${SEED}`);
	const sets = Array.from({ length: SETS }, () => ({
		policies: Array.from({ length: 1 + below(8) }, (_, i) => policy(i)),
		requests: Array.from({ length: REQUESTS }, request),
	}));
	const form = (set, combining) => `%%\ncombining = "${combining}";\npolicies = (\n` +
		`${set.policies.map((p) => p.ours).join(',\n')} );\n%\n${set.requests.map((r) => r.ours).join('\n')}\n`;
	const decide = async (combining) => {
		const r = await run(CHECK, [], { input: sets.map((s) => form(s, combining)).join('') });
		assert.equal(r.code, 0, `MERLON_SEED=${SEED}: ${r.stderr}`);
		const lines = r.stdout.split('\n').slice(0, -1);
		assert.equal(lines.length, SETS * REQUESTS);
		return lines;
	};
	const overrides = await decide('deny-overrides');
	const first = await decide('first-match');
	const counts = { OK: 0, DENIED: 0, NOCRED: 0 };
	for (const [i, set] of sets.entries()) {
		prepare('as written', set.policies, (p) => (p.effect === 'allow' ? 'permit' : 'forbid'));
		prepare('as permits', set.policies, () => 'permit');
		for (const [j, r] of set.requests.entries()) {
			const written = matching('as written', r);
			const all = matching('as permits', r).reason;
			const denies = all.filter((n) => set.policies[n].effect === 'deny');
			const answer = (n) => (n === undefined ? 'NOCRED -'
				: `${set.policies[n].effect === 'allow' ? 'OK' : 'DENIED'} p${n}`);
			const [code] = overrides[i * REQUESTS + j].split(' ');
			const what = () => `MERLON_SEED=${SEED}\n${form({ ...set, requests: [r] }, 'deny-overrides')}` +
				set.policies.map((p) => p.cedar(p.effect)).join('\n');
			counts[code]++;
			assert.equal(code === 'OK', written.decision === 'allow', what());
			assert.equal(overrides[i * REQUESTS + j], answer(denies[0] ?? all[0]), what());
			assert.equal(first[i * REQUESTS + j], answer(all[0]), what());
		}
	}
	t.diagnostic(JSON.stringify(counts));
	for (const [code, n] of Object.entries(counts))
		assert.ok(n > (SETS * REQUESTS) / 50, `too few answers ${code}: ${n} (MERLON_SEED=${SEED})`);
});
