// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// A Redis server that belongs to a test, and gateways that count in it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { freePort, line, run, site, until, HOST } from './lib.mjs';

let servers = 0;
const alive = new Set();
process.on('exit', () => alive.forEach((child) => child.kill('SIGKILL')));

export class Redis {
	// unix: on a socket alone. tls: { cert, key, ca }. args: more of redis-server's.
	constructor(owner, { unix = false, tls, args = [] } = {}) {
		Object.assign(this, { unix, tls, args });
		this.dir = owner.file(`redis-${servers++}`);
		fs.mkdirSync(this.dir);
		owner.onEnd(() => this.kill());
	}
	get server() {
		return this.unix ? `unix:${this.dir}/redis.sock` : `${HOST}:${this.port}`;
	}
	// Starts it, or starts it again where it was, empty.
	async start() {
		this.port ??= this.unix ? 0 : await freePort();
		const where = this.unix ? ['--port', '0', '--unixsocket', `${this.dir}/redis.sock`]
			: this.tls ? ['--port', '0', '--tls-port', `${this.port}`, '--tls-cert-file', this.tls.cert,
				'--tls-key-file', this.tls.key, '--tls-ca-cert-file', this.tls.ca, '--tls-auth-clients', 'optional']
				: ['--port', `${this.port}`];
		const child = spawn('redis-server', [...where, '--bind', HOST, '--dir', this.dir, '--save', '',
			'--appendonly', 'no', '--enable-debug-command', 'local', ...this.args], { stdio: ['ignore', 'pipe', 'inherit'] });
		let out = '';
		child.ended = new Promise((resolve) => child.on('close', () => {
			child.over = true;
			alive.delete(child);
			resolve();
		}));
		child.stdout.on('data', (d) => { out += d; });
		alive.add(child);
		this.child = child;
		await until(() => {
			assert.ok(!child.over, `redis-server did not start: ${out}`);
			return /Ready to accept connections|The server is now ready to accept/.test(out);
		}, 'redis-server');
		return this;
	}
	async kill() {
		this.child?.kill('SIGKILL');
		await this.child?.ended;
	}
	// Stopped it hangs: connections stay, and nothing is answered.
	stop() {
		this.child.kill('SIGSTOP');
	}
	resume() {
		this.child.kill('SIGCONT');
	}
	async cli(...args) {
		const where = this.unix ? ['-s', `${this.dir}/redis.sock`] : ['-h', HOST, '-p', `${this.port}`];
		const tls = this.tls ? ['--tls', '--cacert', this.tls.ca] : [];
		const r = await run('redis-cli', [...where, ...tls, ...args]);
		assert.equal(r.code, 0, r.stdout + r.stderr);
		return r.stdout.trim();
	}
	async info(name) {
		return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await this.cli('INFO'))[1]);
	}
}

// Stands between gateways and Redis, and keeps answers back when told to.
export class Gate {
	constructor(owner, redis) {
		Object.assign(this, { owner, redis, held: null, calls: 0 });
	}
	async open() {
		const port = this.owner.upstream;
		this.port = await this.owner.server((socket) => {
			const behind = net.connect(this.redis.port, HOST);
			socket.on('data', (d) => {
				this.calls += d.toString('latin1').split('EVALSHA').length - 1;
				behind.write(d);
			});
			behind.on('data', (d) => (this.held ? this.held.push(() => socket.write(d)) : socket.write(d)));
			behind.on('error', () => socket.destroy());
			behind.on('close', () => socket.destroy());
			socket.on('close', () => behind.destroy());
		});
		this.owner.upstream = port; // server() takes itself for the model server
		return this;
	}
	get server() {
		return `${HOST}:${this.port}`;
	}
	hold() {
		this.held = [];
	}
	release() {
		this.held.forEach((write) => write());
		this.held = null;
	}
}

// A line of patience: the machine may be slow, so a test that is not about the deadline has a long one.
export const PATIENT = 'deadline = "10s"; breaker = { failures = 1000000; }; ';
export const limit = (redis, options, { control = 'requisite', more = '', patient = true } = {}) =>
	line('ratelimit_redis', control, `server = "${redis.server}"; ${patient ? PATIENT : ''}${options}`,
		`name = "limit"; timeout = "60s"; ${more}`);

// Another gateway of the same organisation: the same keys, the same model server, its own folder.
export async function beside(t, first, o) {
	const s = site(t);
	s.write('keys.jsonl', first.read('keys.jsonl'));
	s.keys = first.keys;
	s.upstream = first.upstream;
	return s.gateway(o);
}

// The sum over all series of that name that have these labels.
export async function metric(s, name, labels = '') {
	const text = await (await s.admin('/metrics')).text();
	return text.split('\n').filter((row) => (row.startsWith(`${name}{`) || row.startsWith(`${name} `)) && row.includes(labels))
		.reduce((sum, row) => sum + Number(row.split(' ').at(-1)), 0);
}
