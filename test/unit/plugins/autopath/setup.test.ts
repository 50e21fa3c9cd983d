import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import type { Block, Directive } from '../../../../agent/config/corefile/types.ts';
import { setup } from '../../../../agent/plugins/autopath/setup.ts';
import { parseText } from '../../../support/corefiles/parse.ts';
import { fakeServices } from '../../../support/services.ts';

function plugin(
  text: string,
  change: (services: ReturnType<typeof fakeServices>) => void = () => {},
) {
  const services = fakeServices();
  services.texts.set('/search', 'search example.org\n');
  services.texts.set('/none', 'nameserver 192.0.2.1\ndomain example.org\n');
  change(services);
  const block = parseText(`cluster.local {\n${text}\n}\n`).blocks[0] as Block;
  const directive = block.directives.find(({ name }) => name === 'autopath') as Directive;
  return { plugin: setup(directive, block, services), services };
}

const refused = (text: string, reason: RegExp, change?: Parameters<typeof plugin>[1]): void =>
  assert.throws(
    () => plugin(text, change),
    (error) =>
      error instanceof ConfigError &&
      /^\/etc\/Corefile:\d+: /.test(error.message) &&
      reason.test(error.message),
    text,
  );

describe('the directive autopath', () => {
  it('is refused with the word at fault and the fix', () => {
    refused('autopath', /needs at least one argument/);
    refused('autopath @nodes', /unknown "@nodes": use @node or @kubernetes/);
    refused('autopath /missing', /"\/missing" cannot be read: ENOENT/);
    refused('autopath /none', /"\/none" has no "search" line with a domain.*use @node/);
    refused('autopath bad..zone /search', /bad\.\.zone/);
    refused('autopath /search {\n kubeconfig /x\n}', /unknown option "kubeconfig"/);
    refused('autopath @node {\n kubeconfg /x\n}', /did you mean "kubeconfig"/);
    refused('autopath /search\nautopath @node', /allowed once/);
    refused('autopath @node', /NODE_NAME is unset.*fieldRef spec\.nodeName/, ({ kubernetes }) => {
      kubernetes.nodeName = undefined;
    });
  });

  it('refuses at the start what the API client refuses', async () => {
    const error = new ConfigError({ file: '/etc/Corefile', line: 2 }, 'no token');
    const { plugin: made } = plugin('autopath @node', ({ kubernetes }) => {
      kubernetes.error = error;
    });
    await assert.rejects(() => made.prepare?.('at once') as Promise<void>, error);
    made.discard?.();
  });

  it('reaches the API server as its own braces say, else those of kubernetes, else as a pod', async () => {
    for (const [text, path] of [
      ['autopath @node {\n kubeconfig /own\n}\nkubernetes {\n kubeconfig /other\n}', '/own'],
      [
        'autopath @node\nkubernetes cluster.local {\n ttl 5\n kubeconfig /other\n pods verified\n}',
        '/other',
      ],
      ['autopath @node {\n ready\n}\nkubernetes {\n kubeconfig /other\n}', '/other'],
      ['autopath @node', undefined],
    ] as const) {
      const { plugin: made, services } = plugin(text);
      await made.prepare?.('at once');
      const [access] = services.kubernetes.accesses;
      assert.equal(access?.kubeconfig?.path.text, path);
      assert.equal(access?.place.line, 2);
    }
  });

  it('counts for /ready only where the Corefile asks for it', async () => {
    assert.equal(plugin('autopath @node').plugin.ready, undefined);
    refused('autopath /search {\n ready\n}', /unknown option "ready"/);
    refused('autopath @node {\n ready now\n}', /now/);
    const { plugin: made, services } = plugin('autopath @node {\n ready\n}');
    assert.equal(made.ready?.(), false);
    await made.prepare?.('at once');
    made.start?.();
    assert.equal(made.ready?.(), false);
    services.kubernetes.watchOf('/api/v1/pods').list([]);
    assert.equal(made.ready?.(), true);
    await services.clock.advance(31_000);
    assert.equal(made.ready?.(), false);
    services.kubernetes.watchOf('/api/v1/pods').contact();
    assert.equal(made.ready?.(), true);
  });
});
