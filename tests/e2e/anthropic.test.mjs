// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// An unmodified Anthropic client in front of the gateway: messages and their streams, tokens and cost in the
// record, and each refusal as the exception that an application expects.
import assert from 'node:assert/strict';
import { before, after, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { HOST, deferred, line, site, until } from './lib.mjs';
import { json, modelServer } from './models.mjs';

const message = { model: 'claude-demo', max_tokens: 64, messages: [{ role: 'user', content: 'hello' }] };
const TEXT = ['The ', 'quick ', 'brown ', 'fox'];
const usage = { input_tokens: 25, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
const whole = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-demo', stop_reason: 'end_turn',
	stop_sequence: null, content: [{ type: 'text', text: TEXT.join('') }], usage: { ...usage, output_tokens: 15 } };

const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
const begin = event({ type: 'message_start', message: { ...whole, content: [], stop_reason: null, usage } }) +
	event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }) +
	event({ type: 'ping' });
const word = (text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
const end = event({ type: 'content_block_stop', index: 0 }) +
	event({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null },
		usage: { output_tokens: 15 } }) + event({ type: 'message_stop' });

describe('the anthropic client', () => {
	const s = site({ after });
	let model, other, gone;
	const client = (name, options = {}) =>
		new Anthropic({ baseURL: s.base, apiKey: s.keys[name] ?? name, authToken: null, maxRetries: 0, ...options });

	const answer = (request, res) => {
		const body = request.body.length ? JSON.parse(request.body) : {};
		if (request.path === '/v1/models')
			return json(res, { data: [{ type: 'model', id: 'claude-demo' }], has_more: false, first_id: null, last_id: null });
		if (request.path.startsWith('/v1/models/'))
			return json(res, { type: 'model', id: request.path.slice(11), display_name: 'Demo' });
		if (request.path.endsWith('count_tokens'))
			return json(res, { input_tokens: 25 });
		if (request.headers['x-busy'])
			return json(res, { type: 'error', error: { type: 'overloaded_error', message: 'busy' } }, 529,
				{ 'request-id': 'req_upstream' });
		if (!body.stream)
			return json(res, { ...whole, model: body.model }, 200, { 'request-id': 'req_upstream' });
		res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
		res.write(begin);
		if (request.headers['x-hold']) { // nothing follows: the client gives up
			res.on('close', () => gone.resolve());
			return res.write(word('The '));
		}
		const text = TEXT.map(word).join('') + end;
		for (let i = 0; i < text.length; i += 7) // events broken anywhere
			res.write(text.slice(i, i + 7));
		return res.end();
	};

	before(async () => {
		gone = deferred();
		model = await modelServer(s, answer);
		other = await modelServer(s, answer);
		await s.usualKeys();
		await s.key('lim', '--role', 'analyst');
		await s.key('tight', '--role', 'analyst', '--model', 'other-*');
		const limited = line('ratelimit_local', 'requisite',
			'default = { requests = "100000/1m"; }; overrides = ( { key = "lim"; requests = "1/1m"; } );');
		await s.gateway({
			servers: [model.address], limits: 'body = "64K";', ratelimit: limited,
			routes: `, { host = "${HOST}"; path = "/v1/"; api = "anthropic"; stack = "default"; upstream = "llm"; }`,
			top: `models = ( { id = "claude-*"; price = { input = 3.0; output = 15.0; }; },
				{ id = "claude-second"; upstream = "second"; price = { input = 4; }; }, { id = "other-*"; } );
				models_only = true;`,
			upstream: `}, { name = "second"; servers = "${other.address}";
				headers = ( { name = "X-Api-Key"; value = "\${env:SECOND_KEY}"; } );`,
			env: { SECOND_KEY: 'sk-second' },
		});
	});

	test('a message, with its tokens and cost', async () => {
		const { data, response } = await client('alice').messages.create(message).withResponse();
		assert.equal(data.content[0].text, 'The quick brown fox');
		assert.equal(data.usage.output_tokens, 15);
		assert.equal(data._request_id, 'req_upstream', 'the model server\'s own id stays');
		const r = await s.record(response.headers.get('x-request-id'));
		assert.deepEqual([r.user_id, r.model_id, r.action, r.status, r.tokens_in, r.tokens_out],
			['alice', 'claude-demo', 'predict', 'success', 25, 15]);
		assert.equal(r.cost, 0.0003);
		assert.equal(model.last().headers['x-api-key'], undefined, 'the caller\'s key ends here');
		assert.ok(model.last().headers['anthropic-version']);
	});

	test('a stream, whole and in order; tokens of its first and last events', async () => {
		const stream = client('alice').messages.stream(message);
		const words = [];
		stream.on('text', (t) => words.push(t));
		const final = await stream.finalMessage();
		assert.deepEqual(words, TEXT);
		assert.equal(final.usage.input_tokens, 25);
		assert.equal(final.usage.output_tokens, 15);
		const r = await until(() => s.records().find((x) => x.stream), 'the record of the stream');
		assert.deepEqual([r.tokens_in, r.tokens_out, r.status], [25, 15, 'success']);
	});

	test('count_tokens and models', async () => {
		assert.equal((await client('alice').messages.countTokens({ model: 'claude-demo', messages: message.messages }))
			.input_tokens, 25);
		const r = await until(() => s.records().find((x) => x.path === '/v1/messages/count_tokens'), 'record');
		assert.deepEqual([r.action, r.model_id, r.tokens_in], ['predict', 'claude-demo', null]);
		assert.equal((await client('bob').models.list()).data[0].id, 'claude-demo');
		assert.equal((await client('bob').models.retrieve('claude-demo')).id, 'claude-demo');
	});

	test('a model chooses its upstream, with that one\'s headers and its own price', async () => {
		const { response } = await client('alice').messages.create({ ...message, model: 'claude-second' }).withResponse();
		assert.equal(other.seen.length, 1);
		assert.equal(other.last().headers['x-api-key'], 'sk-second');
		assert.equal(other.last().headers.host, other.address);
		assert.equal((await s.record(response.headers.get('x-request-id'))).cost, 0.0001);
	});

	const refused = async (promise, cls, status, type) => {
		const seen = model.seen.length;
		const error = await promise.then(() => assert.fail(`${status} was expected`), (e) => e);
		assert.ok(error instanceof cls, `${error?.constructor?.name}: ${error}`);
		assert.equal(error.status, status);
		assert.equal(error.error.type, 'error', 'the error speaks the dialect');
		assert.equal(error.error.error.type, type);
		assert.equal(typeof error.error.error.message, 'string');
		assert.equal(error.requestID, error.headers.get('x-request-id'), 'where the client looks for it');
		assert.equal(error.error.request_id, error.requestID);
		assert.equal(model.seen.length, seen, 'the model server was not asked');
		const r = await s.record(error.requestID);
		assert.equal(r.http_status, status);
		return { error, record: r };
	};

	test('400, 413', async () => {
		await refused(client('alice').messages.create({ ...message, model: undefined }), Anthropic.BadRequestError, 400,
			'invalid_request_error');
		await refused(client('alice').messages.create({ ...message, system: 'x'.repeat(100_000) }), Anthropic.APIError,
			413, 'request_too_large');
	});

	test('401', async () => {
		const { error, record } = await refused(client('nobody').messages.create(message), Anthropic.AuthenticationError,
			401, 'authentication_error');
		assert.equal(error.headers.get('x-should-retry'), 'false');
		assert.equal(record.status, 'denied');
	});

	test('403: by role, and by the key\'s own models', async () => {
		for (const name of ['bob', 'tight']) {
			const { error } = await refused(client(name, { maxRetries: 2 }).messages.create(message),
				Anthropic.PermissionDeniedError, 403, 'permission_error');
			assert.equal(error.headers.get('x-should-retry'), 'false');
		}
	});

	test('404: an unknown endpoint, an unknown model, neither asked for twice', async () => {
		await refused(client('alice').post('/v1/messages/batches', { body: {} }), Anthropic.NotFoundError, 404,
			'not_found_error');
		await refused(client('alice', { maxRetries: 2 }).messages.create({ ...message, model: 'gpt-4' }),
			Anthropic.NotFoundError, 404, 'not_found_error');
		assert.equal(s.records().filter((r) => r.model_id === 'gpt-4').length, 1);
	});

	test('429', async () => {
		const c = client('lim');
		await c.messages.create(message);
		const { error, record } = await refused(c.messages.create(message), Anthropic.RateLimitError, 429,
			'rate_limit_error');
		assert.match(error.headers.get('retry-after'), /^[1-9]\d*$/);
		assert.equal(record.status, 'limited');
	});

	test('what the model server refuses arrives as it is', async () => {
		const error = await client('alice').messages.create(message, { headers: { 'x-busy': '1' } }).catch((e) => e);
		assert.ok(error instanceof Anthropic.InternalServerError);
		assert.equal(error.status, 529);
		assert.equal(error.requestID, 'req_upstream');
	});

	test('an aborted stream ends at the model server too; the tokens so far are recorded', async () => {
		const stream = await client('alice').messages.create({ ...message, stream: true }, { headers: { 'x-hold': '1' } });
		for await (const e of stream)
			if (e.type === 'content_block_delta')
				stream.controller.abort();
		await gone.promise;
		const r = await until(() => s.records().find((x) => x.status === 'aborted'), 'the record of the abort');
		assert.deepEqual([r.tokens_in, r.tokens_out, r.stream], [25, 1, true]);
		assert.ok(r.output_bytes > 0);
		assert.equal(r.cost, 0.00009);
	});

	test('the audit chain holds after all this', () => s.assertChain());
});
