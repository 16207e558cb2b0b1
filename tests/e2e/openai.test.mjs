// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// An unmodified OpenAI client in front of the gateway: what works without Merlon works through it, and
// each refusal is the exception that an application expects.
import assert from 'node:assert/strict';
import { before, after, describe, test } from 'node:test';
import OpenAI from 'openai';
import { site, until, line } from './lib.mjs';

const messages = [{ role: 'user', content: 'hello' }];
const chat = { model: 'demo-model', messages };
const limited = line('ratelimit_local', 'requisite',
	'default = { requests = "100000/1m"; }; overrides = ( { key = "lim"; requests = "2/1m"; } );');
const told = line('test_return', 'required', '', 'name = "told";');

describe('the openai client', () => {
	const s = site({ after });
	const client = (name, options = {}) =>
		new OpenAI({ baseURL: `${s.base}/v1`, apiKey: s.keys[name] ?? name, maxRetries: 0, ...options });

	before(async () => {
		await s.demo();
		await s.usualKeys();
		await s.key('lim', '--role', 'analyst');
		await s.gateway({ limits: 'body = "64K";', ratelimit: `${limited}, ${told}` });
	});

	test('chat', async () => {
		const { data, response } = await client('alice').chat.completions.create(chat).withResponse();
		assert.equal(data.object, 'chat.completion');
		assert.match(data.choices[0].message.content, /demo model/);
		assert.ok(data.usage.total_tokens > 0);
		assert.equal(data._request_id, response.headers.get('x-request-id'));
		const r = await s.record(data._request_id);
		assert.equal(r.user_id, 'alice');
		assert.equal(r.org, 'acme');
		assert.equal(r.model_id, 'demo-model');
		assert.equal(r.action, 'predict');
		assert.equal(r.status, 'success');
		assert.equal(r.stream, false);
		assert.equal(r.tokens_in, data.usage.prompt_tokens);
		assert.equal(r.tokens_out, data.usage.completion_tokens);
	});

	test('a streamed chat, whole and in order, with usage', async () => {
		const stream = await client('alice').chat.completions.create(
			{ ...chat, stream: true, stream_options: { include_usage: true } },
			{ headers: { 'x-demo-chunks': '200' } });
		let words = 0, usage = null, finish = null;
		for await (const event of stream) {
			if (event.choices[0]?.delta?.content)
				words++;
			finish = event.choices[0]?.finish_reason ?? finish;
			usage = event.usage ?? usage;
		}
		assert.equal(words, 200);
		assert.equal(finish, 'stop');
		assert.equal(usage.completion_tokens, 200);
		const r = await until(() => s.records().find((x) => x.tokens_out === 200), 'the record of the stream');
		assert.equal(r.stream, true);
		assert.equal(r.tokens_in, usage.prompt_tokens);
	});

	test('the helper that collects a stream', async () => {
		const done = await client('alice').chat.completions.stream(chat).finalChatCompletion();
		assert.equal(done.choices[0].finish_reason, 'stop');
		assert.match(done.choices[0].message.content, /^This is the demo/);
	});

	test('legacy completions', async () => {
		const done = await client('alice').completions.create({ model: 'demo-model', prompt: 'x' });
		assert.equal(done.object, 'text_completion');
	});

	test('embeddings', async () => {
		const done = await client('alice').embeddings.create({ model: 'demo-embedding', input: ['a', 'b', 'c'] });
		assert.equal(done.data.length, 3);
		assert.deepEqual([...done.data[2].embedding], Array(8).fill(0.5));
		const one = await client('alice').embeddings.create({ model: 'demo-embedding', input: 'a text alone' });
		assert.equal(one.data.length, 1);
	});

	test('models: list and retrieve, for a viewer too', async () => {
		const names = [];
		for await (const model of client('bob').models.list())
			names.push(model.id);
		assert.deepEqual(names, ['demo-model', 'demo-embedding']);
		const one = await client('bob').models.retrieve('demo-embedding');
		assert.equal(one.id, 'demo-embedding');
		const r = (await until(() => s.records().find((x) => x.path === '/v1/models/demo-embedding'), 'record'));
		assert.equal(r.model_id, 'demo-embedding');
		assert.equal(r.action, 'read');
	});

	test('many at once over kept connections', async () => {
		const c = client('alice');
		const all = await Promise.all(Array.from({ length: 100 }, (_, i) =>
			i % 2 ? c.chat.completions.create(chat) : c.chat.completions.stream(chat).finalChatCompletion()));
		assert.ok(all.every((x) => x.choices[0].finish_reason === 'stop'));
	});

	const refused = async (promise, cls, status, code) => {
		const error = await promise.then(() => assert.fail(`${status} was expected`), (e) => e);
		assert.ok(error instanceof cls, `${error?.constructor?.name}: ${error}`);
		assert.ok(error instanceof OpenAI.APIError);
		assert.equal(error.status, status);
		assert.equal(typeof error.error.message, 'string', 'the error speaks the dialect');
		assert.ok('param' in error.error && 'code' in error.error && 'type' in error.error);
		assert.ok(error.requestID, 'x-request-id is told');
		if (code)
			assert.equal(error.code, code);
		const r = await s.record(error.requestID);
		assert.equal(r.http_status, status);
		return { error, record: r };
	};

	test('400 BadRequestError', async () => {
		await refused(client('alice').chat.completions.create({ messages }), OpenAI.BadRequestError, 400);
	});

	test('401 AuthenticationError: no key of ours, a mistyped one, an unknown one', async () => {
		for (const key of ['nobody', `${s.keys.alice.slice(0, -1)}${s.keys.alice.endsWith('x') ? 'y' : 'x'}`]) {
			const { error, record } = await refused(client(key).chat.completions.create(chat),
				OpenAI.AuthenticationError, 401);
			assert.ok(error.headers.get('www-authenticate'));
			assert.equal(error.headers.get('x-should-retry'), 'false');
			assert.equal(record.status, 'denied');
			assert.equal(record.user_id, null);
		}
	});

	test('403 PermissionDeniedError', async () => {
		const { error, record } = await refused(client('bob').chat.completions.create(chat),
			OpenAI.PermissionDeniedError, 403);
		assert.equal(error.headers.get('x-should-retry'), 'false');
		assert.equal(record.status, 'denied');
		assert.equal(record.user_id, 'bob');
	});

	test('404 NotFoundError: an unknown endpoint, and the model server\'s own', async () => {
		await refused(client('alice').get('/nonsense'), OpenAI.NotFoundError, 404);
		await assert.rejects(client('alice').models.retrieve('nonesuch'),
			(e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
	});

	test('413 APIError', async () => {
		const content = 'x'.repeat(100_000);
		await refused(client('alice').chat.completions.create(
			{ model: 'demo-model', messages: [{ role: 'user', content }] }), OpenAI.APIError, 413);
	});

	test('429 RateLimitError', async () => {
		const c = client('lim');
		const { response } = await c.chat.completions.create(chat).withResponse();
		assert.equal(response.headers.get('x-ratelimit-limit-requests'), '2');
		assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '1');
		await c.chat.completions.create(chat);
		const { error, record } = await refused(c.chat.completions.create(chat), OpenAI.RateLimitError, 429,
			'rate_limit_exceeded');
		assert.match(error.headers.get('retry-after'), /^[1-9]\d*$/);
		assert.equal(error.headers.get('x-ratelimit-remaining-requests'), '0');
		assert.equal(record.status, 'limited');
	});

	test('500 and 503 InternalServerError', async () => {
		for (const [code, status] of [['ERROR', 500], ['UNAVAIL', 503]])
			await refused(client('alice').chat.completions.create(chat,
				{ headers: { 'x-test-return': `told=${code}` } }), OpenAI.InternalServerError, status);
	});

	test('a client that retries gets through when the fault has passed', async () => {
		let sent = 0;
		const c = client('alice', { maxRetries: 2, fetch: (url, init) => {
			const headers = new Headers(init.headers);
			if (sent++ === 0)
				headers.set('x-test-return', 'told=UNAVAIL');
			return fetch(url, { ...init, headers });
		} });
		await c.chat.completions.create(chat);
		assert.equal(sent, 2);
	});

	test('an aborted stream ends at the model server too', async () => {
		const aborted = (await s.seen()).aborted;
		const stream = await client('alice').chat.completions.create({ ...chat, stream: true },
			{ headers: { 'x-demo-chunks': '1000000', 'x-demo-delay': '5ms' } });
		let n = 0;
		for await (const event of stream) {
			assert.ok(event.id);
			if (++n === 3)
				stream.controller.abort();
		}
		await until(async () => (await s.seen()).aborted === aborted + 1, 'the model server to be told');
		const r = await until(() => s.records().find((x) => x.status === 'aborted'), 'the record of the abort');
		assert.equal(r.stream, true);
	});

	test('a request given up before its answer ends at the model server too', async () => {
		const { aborted, requests } = await s.seen();
		const control = new AbortController();
		const promise = client('alice').chat.completions.create(chat,
			{ signal: control.signal, headers: { 'x-demo-wait': '1h' } });
		promise.catch(() => {});
		await until(async () => (await s.seen()).requests === requests + 1, 'the request to arrive');
		control.abort();
		await assert.rejects(promise, OpenAI.APIUserAbortError);
		await until(async () => (await s.seen()).aborted === aborted + 1, 'the model server to be told');
	});

	test('the audit chain holds after all this', async () => {
		await s.assertChain();
	});
});
