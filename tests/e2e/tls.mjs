// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// What the tests of TLS share: an authority with a server's certificate, clients, and openssl(1) as a client.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { HOST, run, until } from './lib.mjs';
import { Authority } from './certificates.mjs';

export const OPEN = { auth: 'none', authz: 'none' };
export const listen = (pair, more = '') =>
	`tls = { certificate = "${pair.cert}"; key = "${pair.key}"; ${more} };`;

export async function authority(s, name = 'ca') {
	return new Authority(s, name).create();
}

// Every test has the authority, a certificate for gw.test, and a model server behind the gateway.
export async function world(s) {
	const ca = await authority(s);
	const pair = await ca.issue('gw', { names: 'DNS:gw.test,IP:127.0.0.1' });
	await s.demo();
	return { ca, pair };
}

// One request over TLS; agent: a https.Agent to share connections.
export function get(s, p, { ca, agent = false, method = 'GET', headers = {}, body, servername = 'gw.test', ...more } = {}) {
	return new Promise((resolve, reject) => {
		let socket;
		const req = https.request({ host: HOST, port: s.port, path: p, method, headers, agent, servername,
			ca: fileOf(ca), ...more }, (res) => {
			const parts = [];
			res.on('data', (d) => parts.push(d));
			res.on('error', reject);
			res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, socket,
				text: Buffer.concat(parts).toString() }));
		});
		req.on('socket', (used) => { socket = used; });
		req.on('error', reject);
		req.end(body);
	});
}
export const fileOf = (v) => (v?.ca ? fs.readFileSync(v.ca) : v);
export const own = (pair) => ({ cert: fs.readFileSync(pair.cert), key: fs.readFileSync(pair.key) });

// A connection whose handshake is over, or the error.
export function connect(s, ca, options = {}) {
	return new Promise((resolve, reject) => {
		const socket = tls.connect({ host: HOST, port: s.port, servername: 'gw.test', ca: fileOf(ca), ...options },
			() => resolve(socket));
		socket.on('error', reject);
	});
}

export const request = (p) => `GET ${p} HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n`;

// openssl s_client with a request on its input; gives all that it says.
export async function sclient(s, args, input = request('/healthy')) {
	const r = await run('openssl', ['s_client', '-connect', `${HOST}:${s.port}`, '-servername', 'gw.test',
		'-ign_eof', ...args], { input, env: { OPENSSL_CONF: '/dev/null' } });
	return { ...r, all: r.stdout + r.stderr };
}

// The same, with lines typed each when the text before it has been said.
export async function typed(s, args, lines) {
	const child = spawn('openssl', ['s_client', '-connect', `${HOST}:${s.port}`, '-servername', 'gw.test', ...args],
		{ env: { ...process.env, OPENSSL_CONF: '/dev/null' } });
	let all = '';
	child.stdout.on('data', (d) => { all += d; });
	child.stderr.on('data', (d) => { all += d; });
	const ended = new Promise((resolve) => child.on('close', resolve));
	child.stdin.on('error', () => {});
	for (const [after, command] of lines) {
		await until(() => after.test(all), `${after} of ${all}`);
		child.stdin.write(command);
	}
	await ended;
	return all;
}

export async function metric(s, name) {
	const text = await (await s.admin('/metrics')).text();
	const found = text.split('\n').find((l) => l.startsWith(`${name} `));
	return found ? Number(found.slice(name.length + 1)) : 0;
}
