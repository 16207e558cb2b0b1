// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// Certificate authorities for tests, made with openssl(1): each keeps its files in a folder of the site's.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { run } from './lib.mjs';

const CONF = (dir) => `[ca]
default_ca = d
[d]
new_certs_dir = ${dir}
database = ${dir}/index.txt
serial = ${dir}/serial
crlnumber = ${dir}/crlnumber
certificate = ${dir}/ca.pem
private_key = ${dir}/ca.key
default_md = sha256
default_crl_days = 1
unique_subject = no
policy = p
[p]
commonName = optional
`;
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const stamp = (date) => date.toISOString().replace(/[-:T]|\.\d+/g, '');

async function openssl(...args) {
	const r = await run('openssl', args, { env: { OPENSSL_CONF: '/dev/null' } });
	assert.equal(r.code, 0, `openssl ${args.join(' ')}: ${r.stderr}`);
	return r;
}

// The text of an extension with these names as they are, be they as odd as openssl would not write them.
export function rawNames(...names) {
	const tags = { dns: 0x82, uri: 0x86 };
	const tlv = (tag, value) => {
		const n = value.length;
		const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255];
		return Buffer.concat([Buffer.from([tag, ...length]), value]);
	};
	const all = names.map(([kind, text]) => tlv(tags[kind], Buffer.from(text, 'latin1')));
	return `DER:${tlv(0x30, Buffer.concat(all)).toString('hex')}`;
}

export class Authority {
	constructor(site, name) {
		this.name = name;
		this.dir = site.file(name);
	}
	file(name) {
		return path.join(this.dir, name);
	}
	get ca() {
		return this.file('ca.pem');
	}
	async create() {
		fs.mkdirSync(this.dir, { mode: 0o700 });
		fs.writeFileSync(this.file('ca.conf'), CONF(this.dir));
		fs.writeFileSync(this.file('index.txt'), '');
		fs.writeFileSync(this.file('serial'), '1000\n');
		fs.writeFileSync(this.file('crlnumber'), '01\n');
		await openssl('req', '-x509', ...KEY, '-config', this.file('ca.conf'), '-subj', `/CN=${this.name}`,
			'-days', '2', '-keyout', this.file('ca.key'), '-out', this.ca,
			'-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
		return this;
	}
	// names: the value of a subjectAltName extension, or empty; until: a Date.
	async issue(file, { names = '', cn = file, until } = {}) {
		const cert = this.file(`${file}.pem`);
		const key = this.file(`${file}.key`);
		const request = this.file(`${file}.csr`);
		const extensions = this.file(`${file}.ext`);
		fs.writeFileSync(extensions, 'basicConstraints=critical,CA:FALSE\n' +
			'extendedKeyUsage=serverAuth,clientAuth\n' + (names ? `subjectAltName=${names}\n` : ''));
		await openssl('req', '-new', ...KEY, '-config', this.file('ca.conf'), '-subj', cn ? `/CN=${cn}` : '/',
			'-keyout', key, '-out', request);
		fs.chmodSync(key, 0o600);
		await openssl('ca', '-batch', '-notext', '-config', this.file('ca.conf'), '-in', request, '-out', cert,
			'-extfile', extensions, '-startdate', stamp(new Date(Date.now() - 3600_000)),
			'-enddate', stamp(until ?? new Date(Date.now() + 86400_000)));
		return { cert, key };
	}
	async revoke(cert) {
		await openssl('ca', '-config', this.file('ca.conf'), '-revoke', cert);
	}
	async crl() {
		const file = this.file('crl.pem');
		await openssl('ca', '-gencrl', '-config', this.file('ca.conf'), '-out', `${file}.new`);
		fs.renameSync(`${file}.new`, file);
		return file;
	}
}
