/** unbound as a resolver over TLS or HTTPS on loopback. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { freePort } from '../free-port.ts';
import type { Authority, Pair } from './certificates.ts';

export interface Resolver {
  readonly port: number;
  stop(): Promise<void>;
}

/** Answers `www.example.org A` with 192.0.2.80. Resolves when it listens; ends with the test's directory. */
export async function startUnbound(
  { dir }: Authority,
  pair: Pair,
  over: 'tls' | 'https' = 'tls',
): Promise<Resolver> {
  const port = await freePort();
  const conf = `${dir}/unbound-${port}.conf`;
  writeFileSync(
    conf,
    `server:
  directory: "${dir}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1@${port}
  port: ${port}
  ${over}-port: ${port}
  tls-service-key: "${pair.key}"
  tls-service-pem: "${pair.cert}"
  access-control: 127.0.0.0/8 allow
  local-zone: "example.org." static
  local-data: "www.example.org. 60 A 192.0.2.80"
remote-control:
  control-enable: no
`,
  );
  const child = spawn('unbound', ['-d', '-c', conf], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await listening(port);
  return {
    port,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function listening(port: number): Promise<void> {
  for (let left = 200; left > 0; left--) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isThere) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
  throw new Error(`unbound does not listen on ${port}`);
}
