/** Queries to the hosts plugin, for tests. */
import assert from 'node:assert/strict';
import type { TYPE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/hosts/setup.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { answerLines, ask, NextSpy, queryFor } from '../../../support/dns/queries.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

const ETC_HOSTS = `# comment
127.0.0.1	localhost localhost.localdomain # me
::1 localhost
10.0.0.1 db.example.org DB
10.0.0.2 db.example.org
10.0.0.1 db.example.org
::ffff:10.0.0.3 mapped.example.org
10.0.0.9 *.apps.example.org written.apps.example.org
fe80::1%eth0 zone.example.org
`;

/** Set up and prepared, as at the start. */
export async function hosts(
  text = 'hosts',
  zones = '.',
  services: FakeServices = withFile(),
): Promise<Plugin> {
  const { directive, block } = parseDirective(text, zones);
  const plugin = setup(directive, block, services);
  await plugin.prepare?.('at once');
  return plugin;
}

export function withFile(text: string | Uint8Array = ETC_HOSTS, path = '/etc/hosts'): FakeServices {
  const services = fakeServices();
  services.texts.set(path, text);
  return services;
}

export function lines(plugin: Plugin, name: string, type: keyof typeof TYPE): string[] {
  const next = new NextSpy();
  const answer = ask(plugin, queryFor(name, type), next.handler);
  assert.equal(next.asked, 0, 'passed on');
  return answerLines(answer);
}

export function passes(plugin: Plugin, name: string, type: keyof typeof TYPE, qclass = 1): void {
  const next = new NextSpy();
  assert.equal(ask(plugin, queryFor(name, type, { class: qclass }), next.handler), next.answer);
}

export function fails(plugin: Plugin, name: string, type: keyof typeof TYPE): void {
  const next = new NextSpy();
  assert.throws(() => ask(plugin, queryFor(name, type), next.handler), {
    name: 'DnsError',
    rcode: 2,
  });
}

export const FILE = '/etc/hosts';

/** Changes the file, and runs all work that follows. */
export async function change(services: FakeServices, text: string | Uint8Array): Promise<void> {
  services.texts.set(FILE, text);
  services.touch(FILE);
  await services.clock.advance(1_000);
}
