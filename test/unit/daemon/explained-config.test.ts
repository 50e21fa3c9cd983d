import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { upstreamsOf } from '../../../agent/daemon/explained-config.ts';
import { parseText } from '../../support/corefiles/parse.ts';

const COREFILE = parseText(`. {
  forward corp.example 192.0.2.9 {
    except lab.corp.example
  }
  forward . 192.0.2.1 tls://192.0.2.2 /etc/resolv.conf
}
cluster.local {
  whoami
}
`);
const STATES = [{ group: 'forward', to: '192.0.2.1:53', state: 'down' }] as const;

function targets(line: number, name: string): readonly string[] {
  const found = upstreamsOf(COREFILE, { file: '/etc/Corefile', line }, name, STATES);
  return found.map(({ to, state }) => `${to} ${state ?? '-'}`);
}

describe('what a block forwards a name to', () => {
  it('is the first forward that takes it', () => {
    assert.deepEqual(targets(1, 'a.CORP.example.'), ['192.0.2.9:53 -']);
    const others = ['192.0.2.1:53 down', 'tls://192.0.2.2 -', '/etc/resolv.conf -'];
    assert.deepEqual(targets(1, 'a.lab.corp.example.'), others);
    assert.deepEqual(targets(1, 'xcorp.example.'), others);
  });

  it('is nothing without a forward, or without a Corefile', () => {
    assert.deepEqual(targets(7, 'a.cluster.local.'), []);
    assert.deepEqual(upstreamsOf(undefined, { file: '', line: 1 }, 'a.', STATES), []);
  });
});
