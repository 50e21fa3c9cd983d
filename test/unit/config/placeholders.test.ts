import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../agent/base/errors.ts';
import { NO_KUBE_DNS } from '../../../agent/config/kube-dns.ts';
import {
  type PlaceholderValues,
  renderCorefile,
  serviceIpOf,
} from '../../../agent/config/placeholders.ts';
import { corefileFixture } from '../../support/corefiles/fixtures.ts';
import { parseText } from '../../support/corefiles/parse.ts';

const values: PlaceholderValues = {
  localIps: ['169.254.20.10', '10.96.0.10'],
  upstreamService: 'kube-dns-upstream',
  upstreamServiceIp: '10.96.0.11',
  prometheusEndpoint: ':9253',
  dnsPort: 53,
  kubeDns: NO_KUBE_DNS,
  clusterDomain: undefined,
};
const render = (template: string, change: Partial<PlaceholderValues> = {}): string =>
  renderCorefile(template, 'base', { ...values, ...change }).text;
const upstreams = (...servers: string[]): Partial<PlaceholderValues> => ({
  kubeDns: { ...NO_KUBE_DNS, upstreamNameservers: servers },
});

describe('local IPs', () => {
  it('are all of them where the placeholder is a word, the first one within a word', () => {
    assert.equal(
      render(
        'bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__\nhealth __PILLAR__LOCAL__DNS__:80',
      ),
      'bind 169.254.20.10 10.96.0.10 \nhealth 169.254.20.10:80',
    );
  });

  it('get brackets where a port follows a v6 address', () => {
    const v6 = { localIps: ['fd00::10'] };
    assert.equal(
      render('a __PILLAR__LOCAL__DNS__ __PILLAR__LOCAL__DNS__:80 [__PILLAR__LOCAL__DNS__]:80', v6),
      'a fd00::10 [fd00::10]:80 [fd00::10]:80',
    );
    assert.equal(render('[__PILLAR__LOCAL__DNS__]:80'), '169.254.20.10:80');
  });

  it('are required only where the template uses them', () => {
    assert.equal(render('. # __PILLAR__LOCAL__DNS__', { localIps: [] }).slice(0, 1), '.');
    assert.throws(
      () => render('x\nbind __PILLAR__LOCAL__DNS__', { localIps: [] }),
      new ConfigError(
        { file: 'base', line: 2 },
        '__PILLAR__LOCAL__DNS__ has no value: give -localip',
      ),
    );
  });
});

describe('cluster DNS', () => {
  it('comes from the environment of the pod', () => {
    const env = { KUBE_DNS_UPSTREAM_SERVICE_HOST: '10.96.0.11', BAD_SERVICE_HOST: 'None' };
    assert.equal(serviceIpOf('kube-dns-upstream', env), '10.96.0.11');
    assert.equal(serviceIpOf('bad', env), undefined);
    assert.equal(serviceIpOf('kube-dns', env), undefined);
  });

  it('is an error where it is unknown, and used', () => {
    const unknown = { upstreamServiceIp: undefined };
    assert.equal(render('. # not __PILLAR__CLUSTER__DNS__', unknown).slice(0, 1), '.');
    assert.throws(
      () => render('\nforward . __PILLAR__CLUSTER__DNS__', unknown),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, /^base:2: .*kube-dns-upstream.*KUBE_DNS_UPSTREAM_SERVICE_HOST/);
        return true;
      },
    );
  });
});

describe('upstream servers', () => {
  const block = (layout: string): string => `. {\n${layout}\n}\n`;

  it('are those of resolv.conf without a ConfigMap, over TCP if the template says so', () => {
    const text = render(block('  forward . __PILLAR__UPSTREAM__SERVERS__ {\n force_tcp\n }'));
    assert.equal(text, block('  forward . /etc/resolv.conf {\n force_tcp\n }'));
  });

  it('are asked over UDP when they come from the ConfigMap, in any layout', () => {
    for (const layout of [
      '    forward . __PILLAR__UPSTREAM__SERVERS__ {\n            force_tcp\n    }',
      '\tforward\t.  __PILLAR__UPSTREAM__SERVERS__{\r\n force_tcp # old\r\n\t}',
      'forward . __PILLAR__UPSTREAM__SERVERS__ { force_tcp\n }',
    ]) {
      const template = `${block(layout)}# end`;
      const text = render(template, upstreams('1.1.1.1', '9.9.9.9:5353'));
      assert.match(text, /^\s*forward\s+\.\s+1\.1\.1\.1 9\.9\.9\.9:5353[ \t]*$/m, layout);
      assert.doesNotMatch(text, /force_tcp|__/, layout);
      assert.equal(parseText(text).blocks[0]?.directives[0]?.uses[0]?.body, undefined, layout);
      assert.equal(text.split('\n').length, template.split('\n').length, 'line numbers stay');
    }
  });

  it('keep their other options', () => {
    const template = block(
      'forward . __PILLAR__UPSTREAM__SERVERS__ {\n force_tcp\n max_fails 3\n}',
    );
    const text = render(template, upstreams('fd00::1'));
    assert.equal(text, block('forward . fd00::1 {\n\n max_fails 3\n}'));
  });

  it('leave force_tcp to the forwards to other servers', () => {
    const { text, file } = corefileFixture('stock-old-force-tcp');
    const rendered = renderCorefile(text, file, { ...values, ...upstreams('1.1.1.1') }).text;
    assert.deepEqual(rendered.match(/force_tcp/g)?.length, 1);
    assert.match(rendered, /prometheus :9253/);
  });
});

describe('the cluster domain', () => {
  it('is derived, with a warning, where the installer did not fill it in', () => {
    const found = renderCorefile('\n__PILLAR__DNS__DOMAIN__:53 {\n}\n', 'base', {
      ...values,
      clusterDomain: 'k8s.example',
    });
    assert.equal(found.text, '\nk8s.example:53 {\n}\n');
    assert.deepEqual(found.warnings, [
      'base:2: __PILLAR__DNS__DOMAIN__ was not filled in, taken as k8s.example',
    ]);
    assert.equal(render('__PILLAR__DNS__DOMAIN__'), 'cluster.local');
    assert.deepEqual(renderCorefile('.', 'base', values).warnings, []);
  });
});

it('an unknown placeholder is refused with the nearest one', () => {
  assert.throws(
    () => render('# __PILLAR__X__\nforward . __PILLAR__UPSTREAM__SERVER__'),
    new ConfigError(
      { file: 'base', line: 2 },
      'unknown placeholder __PILLAR__UPSTREAM__SERVER__: ' +
        'did you mean "__PILLAR__UPSTREAM__SERVERS__"?',
    ),
  );
  assert.equal(render('__PILLAR__DNS__SERVER____PILLAR__CLUSTER__DNS__'), '10.96.0.11');
});

it('stub domains become blocks, in the order of their names', () => {
  const stubDomains = new Map([
    ['b.test', ['1.1.1.1']],
    ['a.test', ['fd00::1', '10.0.0.1:5353']],
  ]);
  const kubeDns = { ...NO_KUBE_DNS, stubDomains };
  assert.equal(
    render('.', { kubeDns, dnsPort: 5300 }).slice(1),
    `
a.test:5300 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    forward . fd00::1 10.0.0.1:5353
}

b.test:5300 {
    errors
    cache 30
    bind 169.254.20.10 10.96.0.10
    forward . 1.1.1.1
}
`,
  );
  assert.doesNotMatch(render('.', { kubeDns, localIps: [] }), /bind/);
});
