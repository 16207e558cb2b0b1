// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 The Merlon authors
// A private rsyslogd: it listens on every transport at once and writes what it has received, one file a
// transport, each line a message as its parser understood it.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { freePort, HOST, until } from './lib.mjs';

const PROGRAM = ['/usr/sbin/rsyslogd', '/sbin/rsyslogd'].find((p) => fs.existsSync(p));
export const skip = PROGRAM || process.env.CI === 'true' ? false : 'rsyslogd is missing';

const alive = new Set();
process.on('exit', () => {
	for (const child of alive)
		child.kill('SIGKILL');
});

export class Collector {
	constructor(site) {
		this.site = site;
	}
	// tls: { ca, cert, key } of the collector; peers: names that clients' certificates must hold.
	async create({ tls, peers = [] } = {}) {
		this.tls = tls;
		this.tcpPort = await freePort();
		this.udpPort = await freePort();
		this.tlsPort = await freePort();
		this.socket = this.site.file('syslog.sock');
		this.streamSocket = this.site.file('stream.sock');
		const out = (name) => `ruleset(name="${name}") { action(type="omfile" file="${this.site.file(name)}" ` +
			'template="parsed" asyncWriting="off" flushOnTXEnd="on") }';
		const secured = tls ? `
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/name"
	permittedPeer=[${peers.map((p) => `"${p}"`).join(',')}])
input(type="imtcp" address="${HOST}" port="${this.tlsPort}" ruleset="tls.out")` : '';
		const files = tls ? `defaultNetstreamDriverCAFile="${tls.ca}" ` +
			`defaultNetstreamDriverCertFile="${tls.cert}" defaultNetstreamDriverKeyFile="${tls.key}"` : '';
		const field = (names) => names.map((n) => `%${n}%`).join('\\t');
		this.site.write('rsyslog.conf', `
global(workDirectory="${this.site.dir}" maxMessageSize="64k" ${files})
template(name="parsed" type="string" string="${field(['pri', 'protocol-version', 'timestamp:::date-rfc3339',
		'hostname', 'app-name', 'procid', 'msgid', 'structured-data', 'msg'])}\\n")
module(load="imptcp")
module(load="imudp")
module(load="imuxsock" sysSock.use="off")
input(type="imptcp" address="${HOST}" port="${this.tcpPort}" ruleset="tcp.out")
input(type="imptcp" path="${this.streamSocket}" unlink="on" ruleset="stream.out")
input(type="imudp" address="${HOST}" port="${this.udpPort}" ruleset="udp.out")
input(type="imuxsock" socket="${this.socket}" useSpecialParser="off" parseHostname="on" ignoreTimestamp="off"
	useSysTimeStamp="off" unlink="on" rateLimit.interval="0" ruleset="unix.out")
${secured}
${['tcp.out', 'stream.out', 'udp.out', 'unix.out', 'tls.out'].map(out).join('\n')}
`);
		this.site.onEnd(() => this.kill());
		await this.start();
		return this;
	}
	async start() {
		const child = spawn(PROGRAM, ['-n', '-f', this.site.file('rsyslog.conf'), '-i', this.site.file('rsyslog.pid')],
			{ stdio: ['ignore', 'pipe', 'pipe'] });
		this.child = child;
		this.said = '';
		for (const stream of [child.stdout, child.stderr])
			stream.on('data', (d) => { this.said += d; });
		alive.add(child);
		child.over = new Promise((resolve) => {
			child.on('close', () => {
				alive.delete(child);
				resolve(child.gone = true);
			});
		});
		const answers = (where) => new Promise((resolve) => {
			const s = net.connect(where, () => resolve(s.destroy() && true));
			s.on('error', () => resolve(false));
		});
		await until(async () => {
			if (child.gone)
				throw new Error(`rsyslogd did not start: ${this.said}`);
			return await answers({ host: HOST, port: this.tcpPort }) &&
				(!this.tls || await answers({ host: HOST, port: this.tlsPort })) && fs.existsSync(this.socket);
		}, 'rsyslogd');
	}
	async kill() {
		this.child.kill('SIGKILL');
		await this.child.over;
	}
	// What has been received over 'tcp', 'stream', 'udp', 'unix' or 'tls'.
	messages(kind) {
		const file = this.site.file(`${kind}.out`);
		if (!fs.existsSync(file))
			return [];
		return fs.readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line) => {
			const [pri, version, time, hostname, app, pid, id, data, ...rest] = line.split('\t');
			return { pri: Number(pri), version, time, hostname, app, pid, id, data, text: rest.join('\t') };
		});
	}
	async await(kind, n) {
		await until(() => this.messages(kind).length >= n, `${n} messages over ${kind}: ` +
			`${this.messages(kind).length} have come; ${this.said}`);
		return this.messages(kind);
	}
}
