// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// What the tests of limiters share: requests from other addresses and over kept connections, and counts over
// an audit log that is too long to be read at each look.
import fs from 'node:fs';
import http from 'node:http';
import { HOST } from './lib.mjs';

// A client at an address of its own, with so many connections that it keeps.
export class Client {
	constructor(site, { from = HOST, connections = 1, key, headers = {} } = {}) {
		this.site = site;
		this.from = from;
		this.headers = { ...headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
		this.connections = connections;
		this.agent = new http.Agent({ keepAlive: true, maxSockets: connections, localAddress: from });
		site.onEnd(() => this.agent.destroy());
	}
	request(path, { method = 'GET', headers = {}, body } = {}) {
		return new Promise((resolve, reject) => {
			const req = http.request({ host: HOST, port: this.site.port, path, method, agent: this.agent,
				localAddress: this.from, headers: { ...this.headers, ...headers } }, (res) => {
				const parts = [];
				res.on('data', (d) => parts.push(d));
				res.on('error', reject);
				res.on('end', () => resolve({ status: res.statusCode, headers: res.headers,
					retryAfter: Number(res.headers['retry-after']), text: Buffer.concat(parts).toString() }));
			});
			req.on('error', reject);
			req.end(body);
		});
	}
	chat(model = 'demo-model', { headers = {} } = {}) {
		const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] });
		return this.request('/v1/chat/completions', { method: 'POST', body,
			headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers } });
	}
	// n requests as fast as its connections take them; the answers in the order of the requests.
	async hammer(n, ask = () => this.chat()) {
		const answers = [];
		let next = 0;
		await Promise.all(Array.from({ length: this.connections }, async () => {
			while (next < n) {
				const i = next++;
				answers[i] = await ask(i);
			}
		}));
		return answers;
	}
}

export function count(list, by) {
	const counts = {};
	for (const x of list) {
		const key = by(x);
		counts[key] = (counts[key] ?? 0) + 1;
	}
	return counts;
}
export const statuses = (answers) => count(answers, (a) => a.status);

// All records, once merlond has ended and so has written them.
export async function finalRecords(site) {
	await site.stop();
	return fs.readFileSync(site.file('audit.log'), 'utf8').trimEnd().split('\n').map((text) => JSON.parse(text));
}
// What is behind the code in a reason: "ratelimit: limit: LIMITED: blocked".
export const why = (record) => record.reason?.split(': ').slice(3).join(': ') ?? null;
