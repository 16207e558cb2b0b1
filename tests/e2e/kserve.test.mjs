// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// KServe's protocols by plain fetch: who may do what with which model, what the record says of it, and that
// the model server sees exactly the requests that were granted, with their bytes.
import assert from 'node:assert/strict';
import { before, after, describe, test } from 'node:test';
import { site } from './lib.mjs';
import { json, modelServer, recordOf } from './models.mjs';

describe('kserve', () => {
	const s = site({ after });
	let model;
	const ask = (name, method, path, body = method === 'POST' ? '{"inputs":[]}' : undefined) =>
		fetch(s.base + path, { method, body, headers: name ? { 'x-api-key': s.keys[name] } : {} });

	before(async () => {
		model = await modelServer(s, (request, res) => json(res, { path: request.path, bytes: request.body.length }));
		await s.usualKeys();
		await s.key('own', '--role', 'analyst', '--model', 'churn-*');
		await s.gateway({
			servers: [model.address],
			routes: `, { path = "/v2"; api = "kserve"; stack = "default"; upstream = "llm"; },
				{ path = "/v2/"; api = "kserve"; stack = "default"; upstream = "llm"; },
				{ path = "/v1/models/"; api = "kserve"; stack = "default"; upstream = "llm"; },
				{ path = "/triton/"; api = "kserve"; stack = "default"; upstream = "llm"; allow_unknown = "manage"; }`,
		});
	});

	// admin may all, alice (analyst) reads and predicts, bob (viewer) reads, own predicts on churn-* only.
	const table = [
		// method, path, action, model, who is granted
		['POST', '/v1/models/churn-1:predict', 'predict', 'churn-1', 'admin alice own'],
		['POST', '/v1/models/fraud:explain', 'predict', 'fraud', 'admin alice'],
		['POST', '/v1/models/churn-1/versions/3:predict', 'predict', 'churn-1', 'admin alice own'],
		['GET', '/v1/models/churn-1', 'read', 'churn-1', 'admin alice bob own'],
		['GET', '/v1/models/fraud/metadata', 'read', 'fraud', 'admin alice bob'],
		['GET', '/v2', 'read', null, 'admin alice bob own'],
		['GET', '/v2/health/ready', 'read', null, 'admin alice bob own'],
		['GET', '/v2/models/churn-1/versions/2/ready', 'read', 'churn-1', 'admin alice bob own'],
		['POST', '/v2/models/churn-1/infer', 'predict', 'churn-1', 'admin alice own'],
		['POST', '/v2/models/fraud/versions/2/infer', 'predict', 'fraud', 'admin alice'],
		['POST', '/v2/models/fraud/generate_stream', 'predict', 'fraud', 'admin alice'],
		['POST', '/v2/repository/index', 'manage', null, 'admin'],
		['POST', '/v2/repository/models/churn-1/load', 'manage', 'churn-1', 'admin'],
		['POST', '/v2/repository/models/churn-1/unload', 'manage', 'churn-1', 'admin'],
		['POST', '/triton/v2/models/churn-1/infer', 'predict', 'churn-1', 'admin alice own'],
		['POST', '/triton/v2/logging', 'manage', null, 'admin'],
	];

	for (const [method, path, action, id, granted] of table) {
		test(`${method} ${path}`, async () => {
			const all = ['admin', 'alice', 'bob', 'own', null];
			for (const [i, name] of all.entries()) {
				const before = model.seen.length;
				const may = name && granted.split(' ').includes(name);
				const response = await ask(name, method, path);
				assert.equal(response.status, may ? 200 : name ? 403 : 401, `${name}`);
				assert.equal(model.seen.length, before + (may ? 1 : 0));
				const text = await response.text();
				if (may) {
					assert.equal(model.last().path, path);
					assert.equal(model.last().body.toString(), method === 'POST' ? '{"inputs":[]}' : '');
				} else {
					assert.equal(response.headers.get('content-type'), 'application/problem+json');
					assert.equal(JSON.parse(text).status, response.status);
				}
				const r = await recordOf(s, path, i + 1);
				assert.deepEqual([r.user_id, r.action, r.model_id, r.status],
					[name, action, id, may ? 'success' : 'denied']);
			}
		});
	}

	test('what the api does not know is 404 or 405 and never passed on', async () => {
		const before = model.seen.length;
		for (const [method, path, status] of [['POST', '/v1/models/m:generate', 404], ['POST', '/v1/models/m', 405],
			['POST', '/v2/models/m/explain', 404], ['GET', '/v2/models/m/infer', 405], ['DELETE', '/v2/models/m', 405],
			['POST', '/v2/systemsharedmemory/region/x/register', 404], ['GET', '/v2/models/m/', 404],
			['GET', '/v1/models/m%3Apredict', 400], ['POST', '/v2/models/a%2Fb/infer', 400]])
			assert.equal((await ask('admin', method, path)).status, status, path);
		assert.equal((await ask('bob', 'GET', '/triton/v2/logging')).status, 403, 'the action that the route names');
		assert.equal(model.seen.length, before);
	});

	test('the audit chain holds after all this', () => s.assertChain());
});
