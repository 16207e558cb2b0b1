// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Streams of bytes that went wrong, by a generator of its own: the same seed makes the same streams, so that
// a failure can be repeated. Also a reader of responses that repairs nothing.

export function randoms(seed) {
	let x = seed | 0 || 1;
	return (n) => {
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		return (x >>> 0) % n;
	};
}

export const bytesOf = (text) => Buffer.from(text, 'latin1');
export const pick = (random, list) => list[random(list.length)];

// What parsers have been known to disagree about.
const TROUBLE = ['\r\n', '\n', '\r', '\0', ' ', '\t', ':', ';', ',', '\r\n ', '\r\n\r\n', '\n\n', '\x0b', '\x80', '\xff', '_', '%00',
	'%2e%2e/', '//', '/../', '#', '\\', '?', '0\r\n\r\n', '0\r\n', '1\r\nx\r\n', 'Content-Length: 3\r\n', 'Content-Length: 0\r\n',
	'Content-Length: +3\r\n', 'Content-Length: 3, 3\r\n', 'Content-Length:\r\n', 'Content-Length : 3\r\n', 'Content_Length: 3\r\n',
	'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: xchunked\r\n', 'Transfer-Encoding:\tchunked\r\n',
	'Transfer-Encoding: chunked, identity\r\n', 'Transfer-Encoding\r\n: chunked\r\n', 'Transfer-Encoding: Chunked\r\n',
	'Connection: close\r\n', 'Connection: keep-alive\r\n', 'Connection: content-length\r\n', 'Connection: transfer-encoding\r\n',
	'Connection: upgrade\r\nUpgrade: websocket\r\n', 'Expect: 100-continue\r\n', 'Host: other\r\n', 'X: a\r\n b\r\n', 'TE: trailers\r\n',
	' HTTP/1.0', ' HTTP/1.1', ' HTTP/2.0', 'HTTP/1.1 ', '00000000000000003', '0x3', '-1', ';a=b', ';a="\r\n"', '3 ', ' 3', '3\n', '3\r',
	'ffffffffffffffff', 'GET /inner HTTP/1.1\r\nHost: x\r\n\r\n', 'X-Request-Id: same\r\n', 'X-Forwarded-For: 1.2.3.4\r\n'];

function cut(bytes, at, drop, put) {
	return Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(Math.min(at + drop, bytes.length))]);
}

function lines(bytes) {
	return bytes.toString('latin1').split('\r\n');
}

const WAYS = [
	(b, r) => cut(b, r(b.length), 1, Buffer.from([r(256)])),
	(b, r) => cut(b, r(b.length), 1, Buffer.alloc(0)),
	(b, r) => cut(b, r(b.length + 1), 0, bytesOf(pick(r, TROUBLE))),
	(b, r) => cut(b, r(b.length + 1), 0, bytesOf(pick(r, TROUBLE))),
	(b, r) => cut(b, r(b.length), 1 + r(4), bytesOf(pick(r, TROUBLE))),
	(b, r) => { // a line of its own, where lines begin
		const l = lines(b);
		l.splice(r(l.length + 1), 0, pick(r, TROUBLE).replace(/\r\n$/, ''));
		return bytesOf(l.join('\r\n'));
	},
	(b, r) => { // a line twice
		const l = lines(b);
		const i = r(l.length);
		l.splice(r(l.length + 1), 0, l[i]);
		return bytesOf(l.join('\r\n'));
	},
	(b, r) => { // a line less
		const l = lines(b);
		l.splice(r(l.length), 1);
		return bytesOf(l.join('\r\n'));
	},
	(b, r) => { // a number that lies
		const text = b.toString('latin1');
		return bytesOf(text.replace(/\d+/g, (d) => (r(4) ? d : String(r(2) ? Number(d) + r(5) - 2 : r(1000)))));
	},
	(b, r) => b.subarray(0, r(b.length + 1)),
	(b, r) => { // a piece again
		const at = r(b.length);
		return cut(b, r(b.length + 1), 0, b.subarray(at, at + r(40)));
	},
];

export function mutate(bytes, random, most = 3) {
	let b = bytes;
	for (let n = 1 + random(most); n > 0 && b.length > 0; n--)
		b = pick(random, WAYS)(b, random);
	return b;
}

export function split(bytes, random, most = 4) {
	const cuts = Array.from({ length: random(most) }, () => random(bytes.length + 1)).sort((a, b) => a - b);
	const ends = [...cuts, bytes.length];
	return ends.map((end, i) => bytes.subarray(i ? ends[i - 1] : 0, end)).filter((p) => p.length > 0);
}

const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/;

function chunkedBody(text, at) {
	const parts = [];
	for (;;) {
		const size = /^([0-9a-fA-F]{1,15})(?:[ \t]*;[^\r\n\0]*)?\r\n/.exec(text.slice(at, at + 4096));
		if (!size)
			return { cut: !text.slice(at, at + 4096).includes('\n'), parts };
		at += size[0].length;
		const n = parseInt(size[1], 16);
		if (n === 0)
			break;
		parts.push(text.slice(at, at + n));
		if (text.length < at + n + 2)
			return { cut: '\r\n'.startsWith(text.slice(at + n)), parts };
		if (text.slice(at + n, at + n + 2) !== '\r\n')
			return { cut: false, parts };
		at += n + 2;
	}
	for (;;) {
		const end = text.indexOf('\r\n', at);
		if (end < 0)
			return { cut: true, parts };
		const line = text.slice(at, end);
		at = end + 2;
		if (line === '')
			return { end: at, parts };
		if (!FIELD.test(line))
			return { cut: false, parts };
	}
}

// Reads one response by RFC 9112 to the letter. `fault` says what is wrong with it; without a fault, `cut` says
// that it had not come whole when the connection ended. `end` is where the next one would begin.
export function readResponse(bytes, { method = 'GET', at = 0 } = {}) {
	const text = bytes.toString('latin1');
	const headEnd = text.indexOf('\r\n\r\n', at);
	if (headEnd < 0)
		return { fault: text.length > at ? 'no end of the head' : 'nothing', cut: true };
	const [first, ...rest] = text.slice(at, headEnd).split('\r\n');
	const status = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t \x21-\x7e\x80-\xff]*)?$/.exec(first);
	if (!status)
		return { fault: `status line ${JSON.stringify(first)}` };
	const r = { minor: Number(status[1]), status: Number(status[2]), fields: [], body: '', cut: false };
	for (const line of rest) {
		const f = FIELD.exec(line);
		if (!f)
			return { ...r, fault: `field ${JSON.stringify(line.slice(0, 200))}` };
		r.fields.push([f[1].toLowerCase(), f[2]]);
	}
	r.all = (name) => r.fields.filter(([n]) => n === name).map(([, v]) => v);
	const coding = r.all('transfer-encoding');
	const cl = r.all('content-length');
	const from = headEnd + 4;
	const connection = r.all('connection').join(',').toLowerCase().split(',').map((x) => x.trim());
	r.close = connection.includes('close') || (r.minor === 0 && !connection.includes('keep-alive'));
	if (coding.length + cl.length > 1 || (coding.length && (coding[0].toLowerCase() !== 'chunked' || r.minor === 0)) ||
		(cl.length && (!/^\d{1,18}$/.test(cl[0]))))
		return { ...r, fault: 'framing' };
	if (r.status < 200 || r.status === 204) {
		if (coding.length || (cl.length && Number(cl[0]) > 0))
			return { ...r, fault: 'a body announced where none can be' };
		return { ...r, end: from };
	}
	if (r.status === 304 || method === 'HEAD')
		return { ...r, end: from };
	if (coding.length) {
		const c = chunkedBody(text, from);
		r.body = c.parts.join('');
		return c.end ? { ...r, end: c.end } : c.cut ? { ...r, cut: true } : { ...r, fault: 'chunks' };
	}
	if (cl.length) {
		const n = Number(cl[0]);
		r.body = text.slice(from, from + n);
		return r.body.length < n ? { ...r, cut: true } : { ...r, end: from + n };
	}
	r.untilClose = true;
	r.close = true;
	r.body = text.slice(from);
	return { ...r, end: text.length };
}
