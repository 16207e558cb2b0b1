// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// What the end-to-end tests share: a site is a folder with a configuration and the processes that belong
// to a test. Its end stops them, and wants from each merlond a clean exit and a log without a report of a
// sanitizer. Nothing here measures time: waiting is for a condition, with a ceiling that only a hang meets.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const BUILD = process.env.MERLON_BUILD;
if (!BUILD)
	throw new Error('MERLON_BUILD is not set: start the tests with tests/e2e/run');
export const MERLOND = path.join(BUILD, 'merlond');
export const MERLONCTL = path.join(BUILD, 'merlonctl');
export const DEMO = path.join(BUILD, 'merlon-demo-model');
export const MODULES = process.env.MERLON_MODULES;
export const CORPORA = process.env.MERLON_CORPORA;
export const HOST = '127.0.0.1';

const CEILING_MS = 120_000;
const REPORT = /Sanitizer|runtime error:/;

const alive = new Set();
process.on('exit', () => {
	for (const child of alive)
		child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'])
	process.on(signal, () => process.exit(1));

// The corpora are not part of the sources: a missing folder is a failure in CI only.
export function corpus(name) {
	const dir = path.join(CORPORA ?? '', name);
	if (fs.existsSync(dir))
		return { dir, skip: false };
	if (process.env.CI === 'true')
		throw new Error(`${dir} is missing`);
	return { dir, skip: `${dir} is missing` };
}

export async function until(condition, what) {
	const end = Date.now() + CEILING_MS;
	for (;;) {
		const value = await condition();
		if (value)
			return value;
		if (Date.now() > end)
			throw new Error(`waited too long for ${what}`);
		await pause(10);
	}
}

export function deferred() {
	const d = {};
	d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
	return d;
}

// A port that nobody holds, for a program that is to listen there. Until it does, an outgoing connection of anybody
// could take the port: the kernel may hand out any. So a connection to it is ended by the port's own side, where the
// kernel remembers it for a minute; meanwhile it gives the port to nobody who does not ask for it by name.
export async function freePort() {
	for (;;) {
		const server = net.createServer((s) => s.end());
		await new Promise((resolve) => server.listen(0, HOST, resolve));
		const { port } = server.address();
		await new Promise((resolve, reject) => {
			net.connect(port, HOST).on('error', reject).on('close', resolve).resume();
		});
		await new Promise((resolve) => server.close(resolve));
		if (port > 10_080)
			return port; // below, fetch() asks nobody at some
	}
}

function start(command, args, options = {}) {
	const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options,
		env: { ...process.env, ...options.env } });
	alive.add(child);
	child.out = Buffer.alloc(0);
	child.err = Buffer.alloc(0);
	child.stdout.on('data', (d) => { child.out = Buffer.concat([child.out, d]); });
	child.stderr.on('data', (d) => { child.err = Buffer.concat([child.err, d]); });
	child.stdin.on('error', () => {});
	child.ended = new Promise((resolve) => {
		child.on('close', (code, signal) => {
			alive.delete(child);
			child.over = true;
			resolve({ code, signal });
		});
	});
	return child;
}

// Runs a command to its end.
export async function run(command, args, { input, env, cwd } = {}) {
	const child = start(command, args, { env, cwd });
	child.stdin.end(input ?? '');
	const { code, signal } = await child.ended;
	const result = { code, signal, stdout: child.out.toString(), stderr: child.err.toString() };
	assert.equal(signal, null, `${command} ${args.join(' ')} ended by ${signal}: ${result.stderr}`);
	assert.doesNotMatch(result.stderr, REPORT);
	return result;
}
export const ctl = (args, options) => run(MERLONCTL, args, options);

export const line = (module, control, options = '', more = '') =>
	`{ module = "${module}"; control = "${control}"; ${more} options = { ${options} }; }`;
export const KEYS = line('auth_apikey', 'requisite', 'keys_file = "keys.jsonl";');
export const RBAC = line('authz_rbac', 'requisite');
export const AUDIT = '{ module = "audit_file"; control = "required"; ' +
	'options = { path = "audit.log"; commit_interval = "2ms"; }; }';
const list = (v) => (v === 'none' ? '"none"' : `( ${v} )`);

// The text of a configuration. A group of the stack is the text of its lines, or 'none'.
export function conf(o) {
	const rules = '{ path = "/predict"; action = "predict"; model = "fixed"; }, ' +
		'{ path = "/models/*"; action = "predict"; model = "path:2"; }, { path = "*"; action = "read"; }';
	return `workers = ${o.workers ?? 2};
listeners = ( { name = "main"; address = "${HOST}:${o.port}"; ${o.listen ?? ''} }${o.listeners ?? ''} );
admin = { socket = "merlon.sock"; http = "${HOST}:${o.admin}"; };
limits = { ${o.limits ?? ''} };
upstreams = ( { name = "llm"; servers = ( ${o.servers.map((s) => `"${s}"`).join(', ')} ); ${o.upstream ?? ''} } );
stacks = (
  { name = "default";
    auth = ${list(o.auth ?? KEYS)};
    authz = ${list(o.authz ?? RBAC)};
    ratelimit = ( ${o.ratelimit ?? ''} );
    filter = ( ${o.filter ?? ''} );
    audit = ( ${o.audit ?? AUDIT} ); }${o.stacks ?? ''} );
routes = ( { path = "/v1/"; api = "openai"; stack = "default"; upstream = "llm"; },
  { path = "/"; api = "rest"; stack = "default"; upstream = "llm"; rules = ( ${o.rules ?? rules} ); }${o.routes ?? ''} );
${o.top ?? ''}
`;
}

export class Site {
	constructor() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'merlon-e2e-'));
		this.ends = [];
		this.keys = {};
	}
	file(name) {
		return path.join(this.dir, name);
	}
	read(name) {
		return fs.readFileSync(this.file(name), 'utf8');
	}
	write(name, text, mode = 0o600) {
		fs.writeFileSync(this.file(name), text, { mode });
		return this.file(name);
	}
	// Whole files only: a reader must not find half a configuration.
	replace(name, text) {
		fs.writeFileSync(this.file(`${name}.new`), text, { mode: 0o600 });
		fs.renameSync(this.file(`${name}.new`), this.file(name));
	}
	onEnd(fn) {
		this.ends.push(fn);
	}
	async end() {
		const errors = [];
		for (const fn of this.ends.reverse()) {
			try {
				await fn();
			} catch (e) {
				errors.push(e);
			}
		}
		if (!process.env.MERLON_KEEP)
			fs.rmSync(this.dir, { recursive: true, force: true });
		if (errors.length > 0)
			throw errors[0];
	}

	async key(name, ...args) {
		const r = await ctl(['key', 'create', '--keys', this.file('keys.jsonl'), '--sub', name, ...args]);
		assert.equal(r.code, 0, r.stderr);
		this.keys[name] = r.stdout.trim();
		return this.keys[name];
	}
	async usualKeys() {
		await this.key('admin', '--role', 'admin', '--org', 'acme');
		await this.key('alice', '--role', 'analyst', '--org', 'acme');
		await this.key('bob', '--role', 'viewer', '--org', 'acme');
	}

	async demo(...args) {
		const child = start(DEMO, ['-l', `${HOST}:0`, ...args]);
		this.onEnd(async () => {
			child.kill('SIGTERM');
			const { code } = await child.ended;
			assert.doesNotMatch(child.err.toString(), REPORT);
			assert.equal(code, 0, 'the demo model ended badly');
		});
		const port = await until(() => /port (\d+)\n/.exec(child.out.toString())?.[1], 'the demo model');
		this.upstream = Number(port);
		return this.upstream;
	}
	// What the demo model has seen; asked directly, not through the gateway.
	async seen() {
		// Not by fetch(), which refuses some of the ports that the kernel hands out.
		const body = await new Promise((resolve, reject) => {
			http.get({ host: HOST, port: this.upstream, path: '/demo/last', agent: false }, (res) => {
				const parts = [];
				res.on('data', (d) => parts.push(d));
				res.on('end', () => resolve(Buffer.concat(parts).toString()));
			}).on('error', reject);
		});
		return JSON.parse(body);
	}
	// A server of the test's own as upstream: what arrives on a connection is handed to serve(socket, bytes).
	async server(onConnection) {
		const sockets = new Set();
		const server = net.createServer((s) => {
			sockets.add(s);
			s.on('error', () => {});
			s.on('close', () => sockets.delete(s));
			onConnection(s);
		});
		await new Promise((resolve) => server.listen(0, HOST, resolve));
		this.onEnd(() => new Promise((resolve) => {
			for (const s of sockets)
				s.destroy();
			server.close(resolve);
		}));
		this.upstream = server.address().port;
		return this.upstream;
	}

	// A model server that answers when the test says so: the head and one event of a stream at once, the rest
	// at release(). After that it answers at once.
	async heldModel() {
		const held = { arrived: 0, released: false, waiting: [] };
		const event = 'data: {"x":1}\n\n';
		const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
		await this.server((socket) => socket.on('data', (d) => {
			if (!/^[A-Z]+ \/\S* HTTP/.test(d.toString('latin1')))
				return; // the rest of a body
			held.arrived++;
			const stream = d.includes('"stream":true');
			if (stream)
				socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n' +
					`Transfer-Encoding: chunked\r\n\r\n${chunk(event)}`);
			const rest = () => socket.write(stream ? `${chunk('data: [DONE]\n\n')}0\r\n\r\n`
				: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
			if (held.released)
				rest();
			else
				held.waiting.push(rest);
		}));
		held.release = () => {
			held.released = true;
			held.waiting.splice(0).forEach((rest) => rest());
		};
		return held;
	}

	// Writes the configuration and starts merlond; `o` is what conf() takes.
	async gateway(o = {}) {
		this.o = { port: await freePort(), admin: await freePort(), servers: [`${HOST}:${this.upstream}`], ...o };
		this.port = this.o.port;
		this.write('merlon.conf', conf(this.o));
		await this.launch(o);
		return this;
	}
	async launch({ env, modules } = {}) {
		const child = start(MERLOND, ['-c', this.file('merlon.conf'), '-f', '-m', modules ?? MODULES], { env });
		this.merlond = child;
		this.onEnd(() => this.stop(child));
		await until(async () => {
			assert.ok(!child.over, `merlond did not start: ${child.err}\n${this.read('merlon.conf')}`);
			return (await this.admin('/readyz').catch(() => null))?.status === 200;
		}, 'merlond to serve');
		return child;
	}
	// Ends merlond as an operator does, and wants it to have been well until then.
	async stop(child = this.merlond) {
		if (!child.over)
			child.kill('SIGTERM');
		await this.assertEnd(child);
	}
	async assertEnd(child = this.merlond) {
		const { code, signal } = await child.ended;
		const log = child.err.toString();
		assert.doesNotMatch(log, REPORT, log);
		assert.equal(signal, null, `merlond ended by ${signal}: ${log}`);
		assert.equal(code, 0, `merlond ended with ${code}: ${log}`);
	}
	log() {
		return this.merlond.err.toString();
	}
	// The log comes over another pipe than the answers.
	logged(what) {
		return until(() => what.test(this.log()), `the log to say ${what}`);
	}
	admin(p) {
		return fetch(`http://${HOST}:${this.o.admin}${p}`);
	}
	ctl(...args) {
		return ctl(['-c', this.file('merlon.conf'), '-m', MODULES, ...args]);
	}
	async status() {
		const r = await this.ctl('status', '--json');
		assert.equal(r.code, 0, r.stderr);
		return JSON.parse(r.stdout);
	}
	reconfigure(o) {
		this.o = { ...this.o, ...o };
		this.replace('merlon.conf', conf(this.o));
	}
	async reload(o) {
		if (o)
			this.reconfigure(o);
		return this.ctl('reload');
	}

	get base() {
		return `http://${HOST}:${this.port}`;
	}
	bearer(name) {
		return { authorization: `Bearer ${this.keys[name]}` };
	}
	// One request over a connection of its own.
	request(p, { method = 'GET', headers = {}, body, agent = false } = {}) {
		return new Promise((resolve, reject) => {
			const req = http.request({ host: HOST, port: this.port, path: p, method, headers, agent }, (res) => {
				const parts = [];
				res.on('data', (d) => parts.push(d));
				res.on('error', reject);
				res.on('end', () => {
					const text = Buffer.concat(parts).toString();
					resolve({ status: res.statusCode, headers: res.headers, text,
						json: () => JSON.parse(text) });
				});
			});
			req.setTimeout(CEILING_MS, () => req.destroy(new Error(`no answer to ${method} ${p}`)));
			req.on('error', reject);
			req.end(body);
		});
	}
	chat(name, { model = 'demo-model', headers = {}, stream = false, agent, more = {} } = {}) {
		const body = JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hello' }], ...more });
		return this.request('/v1/chat/completions', { method: 'POST', agent, body,
			headers: { ...(name ? this.bearer(name) : {}), 'content-type': 'application/json',
				'content-length': Buffer.byteLength(body), ...headers } });
	}
	raw(bytes, options) {
		return raw(this.port, bytes, options);
	}

	records(name = 'audit.log') {
		if (!fs.existsSync(this.file(name)))
			return [];
		return this.read(name).split('\n').slice(0, -1).map((text) => JSON.parse(text));
	}
	async awaitRecords(n, name) {
		await until(() => this.records(name).length >= n, `${n} records`);
		const all = this.records(name);
		assert.equal(all.length, n, 'more records than requests');
		return all;
	}
	async record(id) {
		return until(() => this.records().find((r) => r.request_id === id), `the record of ${id}`);
	}
	async assertChain(...files) {
		const names = (files.length ? files : ['audit.log']).map((f) => this.file(f));
		const r = await ctl(['audit', 'verify', ...names]);
		assert.equal(r.code, 0, r.stdout + r.stderr);
	}
}

export function site(t) {
	const s = new Site();
	t.after(() => s.end());
	return s;
}

// Sends bytes as they are and gives all that comes back until the server closes; `pieces` sends several
// writes. Our side is left open, since a client that closes has aborted.
export function raw(port, bytes, { end = false } = {}) {
	return new Promise((resolve, reject) => {
		const got = [];
		const socket = net.connect(port, HOST, () => {
			for (const piece of [bytes].flat())
				socket.write(piece);
			if (end)
				socket.end();
		});
		socket.setNoDelay(true);
		socket.setTimeout(CEILING_MS, () => {
			reject(new Error(`the connection stands still after ${Buffer.concat(got)}`));
			socket.destroy();
		});
		socket.on('data', (d) => got.push(d));
		socket.on('error', () => {});
		socket.on('close', () => resolve(Buffer.concat(got)));
	});
}

export const statusOf = (bytes) => Number(/^HTTP\/1\.1 (\d{3}) /.exec(bytes.toString('latin1'))?.[1] ?? 0);
