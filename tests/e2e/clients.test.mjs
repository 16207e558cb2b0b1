// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
//
// The official client of OpenAI, unmodified, through the gateway: every call that the demo model has, and
// the exception that its user sees for each refusal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { Gateway, limit, startDemo, until } from './lib.mjs';

const client = (g, key, more = {}) => new OpenAI({ baseURL: `${g.url}/v1`, apiKey: key, maxRetries: 0, ...more });
const ask = { model: 'demo-model', messages: [{ role: 'user', content: 'hello' }] };

test('an unmodified client', async (t) => {
  const demo = await startDemo(t, '-n', '4');
  const g = await Gateway.start(t, {
    demo,
    keys: { admin: ['--role', 'admin', '--org', 'acme', '--team', 'ml'], viewer: ['--role', 'viewer'] },
    limits: 'body = "64K";',
  });
  const c = client(g, g.keys.admin);

  await t.test('chat', async () => {
    const { data, response } = await c.chat.completions.create(ask).withResponse();
    assert.equal(data.object, 'chat.completion');
    assert.match(data.choices[0].message.content, /demo model/);
    assert.ok(data.usage.total_tokens > 0);
    assert.ok(response.headers.get('x-request-id'));
  });

  await t.test('a streamed chat', async () => {
    const stream = await c.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    let text = '';
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, 'This is the demo ');
    assert.equal(usage.completion_tokens, 4);
  });

  await t.test('completions', async () => {
    const r = await c.completions.create({ model: 'demo-model', prompt: 'x' });
    assert.match(r.choices[0].text, /demo model/);
  });

  await t.test('embeddings', async () => {
    const r = await c.embeddings.create({ model: 'demo-embedding', input: ['a', 'b'] });
    assert.equal(r.data.length, 2);
    assert.deepEqual(r.data[1].embedding, Array(8).fill(0.5));
  });

  await t.test('models', async () => {
    const ids = [];
    for await (const m of c.models.list()) ids.push(m.id);
    assert.deepEqual(ids, ['demo-model', 'demo-embedding']);
    assert.equal((await c.models.retrieve('demo-model')).id, 'demo-model');
  });

  await t.test('the records tell who asked for what, and what it cost', async () => {
    const records = await g.records(6);
    const [chat, stream, , embeddings, , one] = records;
    for (const r of records) {
      assert.equal(r.user_id, 'admin');
      assert.equal(r.org, 'acme');
      assert.equal(r.status, 'success');
      assert.equal(r.http_status, 200);
    }
    assert.equal(chat.model_id, 'demo-model');
    assert.equal(chat.action, 'predict');
    assert.equal(chat.tokens_out, 32);
    assert.equal(stream.stream, true);
    assert.equal(stream.tokens_out, 4);
    assert.equal(embeddings.model_id, 'demo-embedding');
    assert.equal(one.model_id, 'demo-model');
    assert.equal(one.action, 'read');
    assert.match(chat.input_hash, /^sha256:[0-9a-f]{64}$/);
    assert.match(chat.output_hash, /^sha256:[0-9a-f]{64}$/);
  });

  await t.test('401 is an AuthenticationError', async () => {
    await assert.rejects(client(g, 'sk-nonsense').chat.completions.create(ask), (e) => {
      assert.ok(e instanceof OpenAI.AuthenticationError);
      assert.equal(e.status, 401);
      assert.ok(e.requestID);
      return true;
    });
  });

  await t.test('403 is a PermissionDeniedError', async () => {
    await assert.rejects(client(g, g.keys.viewer).chat.completions.create(ask), (e) => {
      assert.ok(e instanceof OpenAI.PermissionDeniedError);
      assert.equal(e.headers.get('x-should-retry'), 'false');
      return true;
    });
  });

  await t.test('404 is a NotFoundError', async () => {
    await assert.rejects(c.models.retrieve('nonesuch'), OpenAI.NotFoundError);
    await assert.rejects(c.post('/nonsense', { body: ask }), OpenAI.NotFoundError);
  });

  await t.test('413 is an APIError of that status', async () => {
    const long = { ...ask, messages: [{ role: 'user', content: 'x'.repeat(100000) }] };
    await assert.rejects(c.chat.completions.create(long), (e) => {
      assert.ok(e instanceof OpenAI.APIError);
      assert.equal(e.status, 413);
      return true;
    });
  });

  await t.test('400 is a BadRequestError', async () => {
    await assert.rejects(c.chat.completions.create({ messages: [] }), OpenAI.BadRequestError);
  });

  await t.test('a client that aborts a stream cancels it at the model', async () => {
    const before = await demo.last();
    const stream = await c.chat.completions.create(
      { ...ask, stream: true },
      { headers: { 'x-demo-delay': '20ms', 'x-demo-chunks': '100000' } },
    );
    for await (const chunk of stream) {
      assert.ok(chunk);
      stream.controller.abort();
    }
    await until('the model has seen it', async () => (await demo.last()).aborted === before.aborted + 1);
  });
});

test('429 is a RateLimitError that says when to come back', async (t) => {
  const demo = await startDemo(t);
  const g = await Gateway.start(t, { demo, keys: { admin: ['--role', 'admin'] }, ratelimit: limit('3/1h') });
  const c = client(g, g.keys.admin);
  for (let i = 2; i >= 0; i--) {
    const { response } = await c.chat.completions.create(ask).withResponse();
    assert.equal(response.headers.get('x-ratelimit-limit-requests'), '3');
    assert.equal(response.headers.get('x-ratelimit-remaining-requests'), String(i));
  }
  await assert.rejects(c.chat.completions.create(ask), (e) => {
    assert.ok(e instanceof OpenAI.RateLimitError);
    assert.ok(Number(e.headers.get('retry-after')) >= 1);
    assert.equal(e.code, 'rate_limit_exceeded');
    return true;
  });
  const records = await g.records(4);
  assert.equal(records[3].status, 'limited');
});

test('503 is an InternalServerError', async (t) => {
  const g = await Gateway.start(t, {
    keys: { admin: ['--role', 'admin'] },
    ratelimit: '( { module = "test_return"; control = "requisite"; options = { code = "UNAVAIL"; }; } )',
  });
  await assert.rejects(client(g, g.keys.admin).chat.completions.create(ask), (e) => {
    assert.ok(e instanceof OpenAI.InternalServerError);
    assert.equal(e.status, 503);
    return true;
  });
});
