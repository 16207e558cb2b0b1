// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The plainest case of all, as etc/examples has it: POST /predict with X-API-Key before a model server that
// knows nothing of gateways.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { HOST, freePort, site } from './lib.mjs';
import { json, modelServer } from './models.mjs';

const EXAMPLE = new URL('../../etc/examples/sklearn.conf', import.meta.url);
const RBAC = new URL('../../etc/rbac.conf', import.meta.url);

describe('a scikit-learn style server', () => {
	const s = site({ after });

	test('as the example has it', async () => {
		const model = await modelServer(s, (request, res) => json(res, request.path === '/health' ? { ok: true }
			: { prediction: JSON.parse(request.body).features.map((x) => 2 * x) }));
		await s.usualKeys();
		s.o = { port: await freePort(), admin: await freePort() };
		s.port = s.o.port;
		s.write('rbac.conf', fs.readFileSync(RBAC));
		s.write('merlon.conf', fs.readFileSync(EXAMPLE, 'utf8').replace(`"${HOST}:8080"`, `"${HOST}:${s.port}"`)
			.replace(`"${HOST}:9180"`, `"${HOST}:${s.o.admin}"`).replace(`"${HOST}:8000"`, `"${model.address}"`));
		await s.launch();

		const predict = (key, path = '/predict', method = 'POST') => fetch(s.base + path, { method,
			headers: { 'content-type': 'application/json', ...(key ? { 'x-api-key': s.keys[key] } : {}) },
			body: method === 'POST' ? '{"features":[1,2]}' : undefined });
		const good = await predict('alice');
		assert.deepEqual(await good.json(), { prediction: [2, 4] });
		const r = await s.record(good.headers.get('x-request-id'));
		assert.deepEqual([r.user_id, r.action, r.model_id, r.path, r.auth_method], ['alice', 'predict', 'churn', '/predict', 'apikey']);
		assert.equal(model.last().headers['x-api-key'], undefined, 'the key ends here');
		const n = model.seen.length;
		assert.equal((await predict(null)).status, 401);
		assert.equal((await predict('bob')).status, 403);
		assert.equal((await predict('alice', '/predict', 'GET')).status, 405);
		assert.equal((await predict('admin', '/train')).status, 404);
		assert.equal(model.seen.length, n);
		assert.equal((await predict('bob', '/health', 'GET')).status, 200);
		await s.assertChain();
	});
});
