// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Forms: what real clients send is read and passed on byte by byte, and where other parsers would find another
// model than the gateway in a body, the body is refused. The parsers are node's own FormData reader and
// python3's; what both make of a body is compared with what was decided on.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, after, describe, test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { run, site, until } from './lib.mjs';
import { json, modelServer, recordOf } from './models.mjs';

const sha = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const wav = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7919) % 251));

describe('forms and the rest of the openai client', () => {
	const s = site({ after });
	let model;
	const client = (name) => new OpenAI({ baseURL: `${s.base}/v1`, apiKey: s.keys[name], maxRetries: 0 });

	const answers = {
		'/v1/responses': { id: 'resp_1', object: 'response', output: [], usage: { input_tokens: 7, output_tokens: 9 } },
		'/v1/moderations': { id: 'modr_1', results: [] },
		'/v1/images/generations': { created: 1, data: [{ b64_json: 'AA==' }], usage: { input_tokens: 5, output_tokens: 6 } },
		'/v1/images/edits': { created: 1, data: [{ b64_json: 'AA==' }] },
		'/v1/images/variations': { created: 1, data: [] },
		'/v1/audio/transcriptions': { text: 'hello' },
		'/v1/audio/translations': { text: 'hello' },
		'/v1/files': { id: 'file-1', object: 'file' },
		'/v1/fine_tuning/jobs': { id: 'ftjob-1', object: 'fine_tuning.job' },
		'/v1/fine_tuning/jobs/ftjob-1/cancel': { id: 'ftjob-1', object: 'fine_tuning.job' },
		'/v1/batches': { id: 'batch_1', object: 'batch' },
	};
	before(async () => {
		model = await modelServer(s, (request, res) => json(res, answers[request.path] ?? { ok: true }));
		await s.usualKeys();
		await s.key('trainer', '--role', 'data_scientist');
		await s.key('whisper', '--role', 'analyst', '--model', 'whisper-*');
		await s.gateway({ servers: [model.address], limits: 'body = "2M"; memory = "64M";',
			rules: `{ path = "/form"; method = "POST"; action = "predict"; model = "body:model"; },
				{ path = "/job"; method = "POST"; action = "train"; model = "body:model"; resource_type = "job"; }` });
	});

	const cases = [
		['responses', 'alice', 'predict', 'm1', '/v1/responses', (c) => c.responses.create({ model: 'm1', input: 'x' }), [7, 9]],
		['moderations', 'alice', 'predict', 'm2', '/v1/moderations', (c) => c.moderations.create({ model: 'm2', input: 'x' })],
		['moderations without a model', 'alice', 'predict', null, '/v1/moderations', (c) => c.moderations.create({ input: 'x' })],
		['images', 'alice', 'predict', 'm3', '/v1/images/generations', (c) => c.images.generate({ model: 'm3', prompt: 'x' }), [5, 6]],
		['an image edit', 'alice', 'predict', 'm4', '/v1/images/edits', async (c) =>
			c.images.edit({ model: 'm4', prompt: 'x', image: await toFile(wav, 'a.png', { type: 'image/png' }) })],
		['an image variation', 'alice', 'predict', null, '/v1/images/variations', async (c) =>
			c.images.createVariation({ image: await toFile(wav, 'b "é";.png') })],
		['a transcription', 'whisper', 'predict', 'whisper-1', '/v1/audio/transcriptions', async (c) =>
			c.audio.transcriptions.create({ model: 'whisper-1', file: await toFile(wav, 'a.wav') })],
		['a translation', 'alice', 'predict', 'whisper-1', '/v1/audio/translations', async (c) =>
			c.audio.translations.create({ file: await toFile(wav, 'a.wav'), model: 'whisper-1' })],
		['a file', 'trainer', 'write', null, '/v1/files', async (c) =>
			c.files.create({ purpose: 'batch', file: await toFile(wav, 'a.jsonl') })],
		['a training job', 'trainer', 'train', 'base', '/v1/fine_tuning/jobs', (c) =>
			c.fineTuning.jobs.create({ model: 'base', training_file: 'file-1' })],
		['its end', 'trainer', 'train', null, '/v1/fine_tuning/jobs/ftjob-1/cancel', (c) => c.fineTuning.jobs.cancel('ftjob-1')],
		['a batch', 'trainer', 'train', null, '/v1/batches', (c) => c.batches.create({ completion_window: '24h',
			endpoint: '/v1/chat/completions', input_file_id: 'file-1' })],
	];
	for (const [what, name, action, id, path, ask, tokens] of cases) {
		test(what, async () => {
			const n = s.records().filter((r) => r.path === path).length;
			await ask(client(name));
			const r = await recordOf(s, path, n + 1);
			assert.deepEqual([r.user_id, r.action, r.model_id, r.status], [name, action, id, 'success']);
			assert.deepEqual([r.tokens_in, r.tokens_out], tokens ?? [null, null]);
			assert.equal(r.input_hash, sha(model.last().body), 'the bytes that were audited arrived');
			await assert.rejects(ask(client('bob')), OpenAI.PermissionDeniedError);
			await recordOf(s, path, n + 2);
			if (path.includes('/audio/'))
				assert.ok(model.last().body.includes(wav));
		});
	}

	test('a form\'s model binds: another one is 403', async () => {
		const n = model.seen.length;
		await assert.rejects(client('whisper').audio.transcriptions.create({ model: 'gpt-4o-transcribe',
			file: await toFile(wav, 'a.wav') }), OpenAI.PermissionDeniedError);
		assert.equal(model.seen.length, n);
	});

	const post = (path, body, headers = {}) => fetch(s.base + path, { method: 'POST', body,
		headers: { ...s.bearer('admin'), ...headers } });
	const modelOf = async (response) => (await s.record(response.headers.get('x-request-id'))).model_id;

	test('node\'s FormData and URLSearchParams', async () => {
		const form = new FormData();
		form.append('file', new Blob([wav]), 'a\r\n"b%.bin');
		form.append('model', 'némo 1+1=2');
		form.append('temperature', '0');
		assert.equal(await modelOf(await post('/form', form)), 'némo 1+1=2');
		const r = await post('/job', new URLSearchParams({ a: '&;=%+ ', model: 'némo 1+1=2' }));
		assert.equal(r.status, 200);
		assert.equal(await modelOf(r), 'némo 1+1=2');
		assert.equal(await modelOf(await post('/form', '{"model":"j"}', { 'content-type': 'application/json' })), 'j');
		for (const [status, type] of [[415, 'text/csv'], [415, 'application/xml'], [400, 'multipart/form-data']])
			assert.equal((await post('/form', 'x', { 'content-type': type })).status, status);
		for (const body of [new URLSearchParams({ a: '1' }), new URLSearchParams([['model', 'a'], ['model', 'b']])])
			assert.equal((await post('/form', body)).status, 400);
	});

	test('curl', async () => {
		const file = s.write('x;"y.bin', wav);
		const ask = async (...args) => {
			const r = await run('curl', ['-sS', '-D', '-', '-o', s.file('out'), '-H',
				`Authorization: Bearer ${s.keys.admin}`, ...args]);
			const id = /x-request-id: (\S+)/i.exec(r.stdout)[1];
			return s.record(id);
		};
		let r = await ask('-F', `file=@"${file.replace(/"/g, '\\"')}"`, '-F', 'model=c-1', `${s.base}/v1/audio/transcriptions`);
		assert.deepEqual([r.http_status, r.model_id], [200, 'c-1']);
		r = await ask('--data-urlencode', 'model=c 2', '-d', 'n=1', `${s.base}/form`);
		assert.deepEqual([r.http_status, r.model_id], [200, 'c 2']);
		r = await ask('-F', 'model=a', '-F', 'model=b', `${s.base}/v1/audio/transcriptions`);
		assert.equal(r.http_status, 400);
	});

	// Bodies that are read differently by somebody, and some that nobody does. Each is asked of the gateway, of
	// node's reader and of python3's; where the gateway passes a body on, all that read it find its model.
	const B = 'XYZ', field = (value, name = '"model"') => `Content-Disposition: form-data; name=${name}\r\n\r\n${value}`;
	const parts = (...p) => p.map((x) => `--${B}\r\n${x}\r\n`).join('') + `--${B}--\r\n`;
	const bodies = [
		[parts(field('good')), 200], [parts(field('1', '"n"'), field('good')), 200], [parts(field('good', 'model')), 200],
		[parts(`Content-Type: text/plain\r\n${field('good')}`), 200], [parts(field('good\r\n--XY\r\n--')), 400],
		[parts(field('good'), field('evil')), 400], [parts(field('good'), field('evil', '"Model"')), 400],
		[parts(field('good'), field('evil', '"model[]"')), 400], [parts(field('x', 'a; name=model')), 400],
		[parts(field('good'), field('evil', '"x"; name*=UTF-8\'\'model')), 400],
		[parts(field('good'), `Content-Disposition: form-data; name*0=mod; name*1=el\r\n\r\nevil`), 400],
		[parts(field('good'), `Content-Disposition: form-data;\r\n name="model"\r\n\r\nevil`), 400],
		[parts(field('good'), `Content-Type: multipart/mixed; boundary=in\r\nContent-Disposition: form-data; name="x"` +
			`\r\n\r\n--in\r\n${field('evil')}\r\n--in--`), 400],
		[parts(field('good'), `Content-Transfer-Encoding: base64\r\n${field('ZXZpbA==', '"x"')}`), 400],
		[parts(field(`x\n--${B}\n${field('evil')}`, '"a"'), field('good')), 400],
		[parts(field(`x--${B}\r\n${field('evil')}`, '"a"'), field('good')), 400],
		[`x\r\n${parts(field('good'))}`, 400], [`${parts(field('good'))}${parts(field('evil'))}`, 400],
		[parts(field('good')).replaceAll('\r\n', '\n'), 400], [parts(field('x', '"\\"; name=\\"model"')), 400],
	];
	const PYTHON = `import sys, email.parser, email.policy
head = b'Content-Type: multipart/form-data; boundary=${B}\\r\\n\\r\\n'
m = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + sys.stdin.buffer.read())
for p in m.walk():
    if p.get_param('name', header='content-disposition') == 'model':
        print(p.get_payload(decode=True).decode(), end='\\n')`;

	test('what others would read otherwise is refused', async () => {
		for (const [body, status] of bodies) {
			const n = model.seen.length;
			const type = `multipart/form-data; boundary=${B}`;
			const response = await post('/v1/audio/transcriptions', body, { 'content-type': type });
			assert.equal(response.status, status, body);
			if (status !== 200) {
				assert.equal(model.seen.length, n, 'no form arrived');
				assert.equal((await response.json()).error.code, 'invalid_form');
				continue;
			}
			const decided = await modelOf(response);
			assert.equal(model.last().body.toString(), body);
			const form = await new Response(body, { headers: { 'content-type': type } }).formData().catch(() => null);
			if (form) // node wants names in quotes
				assert.deepEqual(form.getAll('model'), [decided]);
			else
				assert.ok(body.includes('name=model'), body);
			const python = await run('python3', ['-c', PYTHON], { input: body });
			assert.equal(python.stdout, `${decided}\n`, body);
		}
	});

	test('a form that goes wrong late never arrives whole', async () => {
		const n = model.seen.length, broken = model.broken;
		const body = parts(field('good'), `Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n${'x'.repeat(600_000)}`,
			field('evil'));
		const response = await post('/v1/audio/transcriptions', body,
			{ 'content-type': `multipart/form-data; boundary=${B}` }).catch(() => null);
		if (response)
			assert.equal(response.status, 400);
		const r = await until(() => s.records().find((x) => x.http_status === 400 && x.input_bytes > 500_000), 'the record');
		assert.equal(r.model_id, 'good');
		assert.equal(model.seen.length, n);
		assert.ok(model.broken >= broken);
	});

	test('an upgrade is refused and recorded', async () => {
		const n = model.seen.length;
		for (const protocol of ['websocket', 'h2c']) {
			const r = await s.request('/v1/models', { headers: { ...s.bearer('alice'), connection: 'Upgrade',
				upgrade: protocol, 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' } });
			assert.equal(r.status, 400);
			assert.equal((await s.record(r.headers['x-request-id'])).http_status, 400);
		}
		assert.equal(model.seen.length, n);
	});

	test('the audit chain holds after all this', () => s.assertChain());
});
