// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
//
// What the end-to-end tests share: a demo model and a gateway with a folder, keys and a configuration of
// their own, started and stopped with the test. Nothing waits for time to pass: until() looks again until
// something is so, and fails when it never is.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');
export const build = path.resolve(process.env.MERLON_BUILD ?? path.join(root, 'build-dev'));
const corporaDir = path.resolve(process.env.MERLON_CORPORA ?? path.join(root, '../shared/corpora'));

export async function until(what, fn) {
  const end = Date.now() + 20000;
  for (;;) {
    const v = await fn();
    if (v) return v;
    if (Date.now() > end) throw new Error(`never so: ${what}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}

// A folder of the corpora, or null: the test is to be skipped. With CI=true it must be there.
export function corpora(name) {
  const dir = path.join(corporaDir, name);
  if (fs.existsSync(dir)) return dir;
  if (process.env.CI === 'true') throw new Error(`CI needs the test data in ${dir}`);
  return null;
}

export async function freePort() {
  const s = net.createServer();
  await new Promise((r) => s.listen(0, '127.0.0.1', r));
  const { port } = s.address();
  await new Promise((r) => s.close(r));
  return port;
}

export function folder(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'merlon-e2e-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// Copies, since a build's files may be writable by others.
export function copyModules(dir) {
  fs.mkdirSync(dir, { mode: 0o755 });
  for (const name of fs.readdirSync(path.join(build, 'modules'))) {
    const libs = path.join(build, 'modules', name, '.libs');
    if (!fs.existsSync(libs)) continue;
    for (const f of fs.readdirSync(libs).filter((f) => f.endsWith('.so'))) {
      fs.copyFileSync(path.join(libs, f), path.join(dir, f));
      fs.chmodSync(path.join(dir, f), 0o755);
    }
  }
  return dir;
}

function collect(child) {
  const out = { stdout: '', stderr: '' };
  child.stdout?.on('data', (d) => (out.stdout += d));
  child.stderr?.on('data', (d) => (out.stderr += d));
  out.exit = new Promise((r) => child.on('exit', (code, signal) => r({ code, signal })));
  return out;
}

export async function ctl(...args) {
  try {
    const { stdout, stderr } = await run(path.join(build, 'merlonctl'), args);
    return { code: 0, stdout, stderr };
  } catch (e) {
    if (typeof e.code !== 'number') throw e;
    return { code: e.code, stdout: e.stdout, stderr: e.stderr };
  }
}

export async function startDemo(t, ...args) {
  const child = spawn(path.join(build, 'merlon-demo-model'), ['-l', '127.0.0.1:0', ...args]);
  const out = collect(child);
  t.after(async () => {
    child.kill('SIGTERM');
    await out.exit;
    assert.doesNotMatch(out.stderr, /Sanitizer|runtime error/);
  });
  const port = await until('the demo model listens', () => out.stdout.match(/port (\d+)/)?.[1]);
  const last = async () => (await fetch(`http://127.0.0.1:${port}/demo/last`)).json();
  return { port: Number(port), child, last };
}

const audit = '{ module = "audit_file"; control = "required"; options = { path = "audit.log"; }; }';

export const apikey = '( { module = "auth_apikey"; control = "requisite"; options = { keys_file = "keys.jsonl"; }; } )';
export const rbac = '( { module = "authz_rbac"; control = "requisite"; } )';
export const limit = (requests) =>
  `( { module = "ratelimit_local"; control = "requisite"; options = { default = { requests = "${requests}"; }; }; } )`;

// The configuration of few words. Each part may be replaced.
export function config(g, o) {
  const servers = (o.servers ?? [`127.0.0.1:${o.demo?.port ?? 1}`]).map((s) => `"${s}"`).join(', ');
  const routes =
    o.routes ??
    `{ path = "/v1/"; api = "openai"; stack = "default"; upstream = "llm"; },
     { path = "/"; api = "rest"; stack = "default"; upstream = "llm"; rules = ( { path = "*"; action = "predict"; } ); }`;
  return `
workers = ${o.workers ?? 2};
listeners = ( { name = "main"; address = "127.0.0.1:${g.port}"; } );
admin = { socket = "merlon.sock"; http = "127.0.0.1:${g.adminPort}"; };
limits = { ${o.limits ?? ''} };
upstreams = ( { name = "llm"; servers = ( ${servers} ); ${o.upstream ?? ''} } );
routes = ( ${routes} );
stacks = ( { name = "default"; auth = ${o.auth ?? apikey}; authz = ${o.authz ?? rbac};
    ratelimit = ${o.ratelimit ?? '( )'}; filter = ${o.filter ?? '( )'}; audit = ( ${o.audit ?? audit} ); } );
${o.top ?? ''}
`;
}

export class Gateway {
  // options: see config(); keys: { name: [arguments of key create] }
  static async start(t, o = {}) {
    const g = new Gateway();
    g.dir = folder(t);
    g.modules = copyModules(path.join(g.dir, 'modules'));
    g.conf = path.join(g.dir, 'merlon.conf');
    g.log = path.join(g.dir, 'audit.log');
    g.keysFile = path.join(g.dir, 'keys.jsonl');
    g.port = await freePort();
    g.adminPort = await freePort();
    g.url = `http://127.0.0.1:${g.port}`;
    fs.writeFileSync(g.keysFile, '', { mode: 0o600 });
    g.keys = {};
    for (const [name, args] of Object.entries(o.keys ?? {})) g.keys[name] = await g.key(name, ...args);
    g.options = o;
    g.write(o);
    await g.spawn();
    t.after(() => g.stop());
    return g;
  }

  write(o) {
    fs.writeFileSync(this.conf, config(this, o), { mode: 0o600 });
  }

  async key(sub, ...args) {
    const r = await ctl('key', 'create', '--keys', this.keysFile, '--sub', sub, ...args);
    assert.equal(r.code, 0, r.stderr);
    return r.stdout.trim();
  }

  async spawn() {
    this.child = spawn(path.join(build, 'merlond'), ['-c', this.conf, '-f', '-m', this.modules], {
      env: { ...process.env, ...this.options.env },
    });
    this.out = collect(this.child);
    this.exited = null;
    this.out.exit.then((e) => (this.exited = e));
    await until('merlond serves', async () => {
      if (this.exited) throw new Error(`merlond ended: ${JSON.stringify(this.exited)}\n${this.out.stderr}`);
      return (await this.ctl('status')).code === 0;
    });
  }

  ctl(...args) {
    return ctl('-c', this.conf, ...args);
  }

  async status() {
    return JSON.parse((await this.ctl('--json', 'status')).stdout);
  }

  // Ends it, and wants that nothing was wrong with it.
  async stop() {
    if (!this.stopped && !this.exited) {
      this.child.kill('SIGTERM');
      const kill = setTimeout(() => this.child.kill('SIGKILL'), 15000);
      this.exited = await this.out.exit;
      clearTimeout(kill);
      assert.deepEqual(this.exited, { code: 0, signal: null }, this.out.stderr);
    }
    this.stopped = true;
    assert.doesNotMatch(this.out.stderr, /Sanitizer|runtime error/);
  }

  auditText() {
    return fs.existsSync(this.log) ? fs.readFileSync(this.log, 'latin1') : '';
  }

  // Waits for n records; there must not be more.
  async records(n) {
    await until(`${n} audit records`, () => this.auditText().split('\n').length - 1 >= n);
    const lines = this.auditText().split('\n');
    assert.equal(lines.pop(), '');
    assert.equal(lines.length, n);
    return lines.map((l) => JSON.parse(l));
  }

  async verify(...args) {
    return ctl('audit', 'verify', ...args, this.log);
  }

  post(pathname, body, headers = {}) {
    return fetch(this.url + pathname, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
    });
  }
}

// Sends bytes as they are and gathers what comes back until the peer closes or `enough` says so.
export function raw(port, bytes, { enough = () => false, end = false } = {}) {
  return new Promise((resolve, reject) => {
    let text = '';
    const s = net.connect(port, '127.0.0.1');
    const done = () => {
      s.destroy();
      resolve(text);
    };
    s.setTimeout(30000, () => reject(new Error(`no answer to ${JSON.stringify(String(bytes).slice(0, 200))}`)));
    s.on('data', (d) => {
      text += d.toString('latin1');
      if (enough(text)) done();
    });
    s.on('end', done);
    s.on('error', done);
    s.on('connect', () => (end ? s.end(bytes) : s.write(bytes)));
  });
}

// The whole of one answer with a Content-Length.
export function whole(text) {
  const i = text.indexOf('\r\n\r\n');
  if (i < 0) return false;
  const n = text.slice(0, i).match(/content-length: (\d+)/i);
  return n ? text.length >= i + 4 + Number(n[1]) : false;
}
