// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// The audit work of the peer nginx-njs: SHA-256 of both bodies, for the line of its access log. The answer is
// hashed as it passes, so that streams stream. njs gives each request variables of its own.
import crypto from 'crypto';

let hash;

function input(r) {
	const body = r.requestBuffer;
	return body ? crypto.createHash('sha256').update(body).digest('hex') : '';
}

function output(r, data, flags) {
	if (!hash)
		hash = crypto.createHash('sha256');
	if (data.length)
		hash.update(data);
	if (flags.last)
		r.variables.output_hash = hash.digest('hex');
	r.sendBuffer(data, flags);
}

export default { input, output };
