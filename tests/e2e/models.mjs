// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Model servers of the tests' own, over node's http: what arrives is kept, and answered as the test says.
import http from 'node:http';
import { HOST, until } from './lib.mjs';

// answer(request, response): request is { method, path, headers, body }. Requests whose connection breaks
// before they are whole are counted in `broken`.
export async function modelServer(site, answer) {
	const model = { seen: [], broken: 0 };
	const server = http.createServer((req, res) => {
		const parts = [];
		req.on('data', (d) => parts.push(d));
		req.on('aborted', () => { model.broken++; });
		req.on('error', () => {});
		req.on('end', () => {
			const request = { method: req.method, path: req.url, headers: req.headers, body: Buffer.concat(parts) };
			model.seen.push(request);
			answer(request, res);
		});
	});
	await new Promise((resolve) => server.listen(0, HOST, resolve));
	site.onEnd(() => new Promise((resolve) => {
		server.close(resolve);
		server.closeAllConnections();
	}));
	model.port = server.address().port;
	model.address = `${HOST}:${model.port}`;
	model.last = () => model.seen.at(-1);
	return model;
}

export function json(res, value, status = 200, headers = {}) {
	const text = JSON.stringify(value);
	res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers });
	res.end(text);
}

// The record of the newest request to that path.
export const recordOf = (site, path, n = 1) =>
	until(() => site.records().filter((r) => r.path === path)[n - 1], `record ${n} of ${path}`);
