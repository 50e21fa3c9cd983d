import { strict as assert } from 'node:assert';
import { it } from 'node:test';
import { askedEndpoint } from '../../../agent/query/asked.ts';
import { clientAt, Query } from '../../../agent/query/query.ts';
import type { ServerLabel } from '../../../agent/query/services/block.ts';
import { queryFor } from '../../support/dns/queries.ts';

const asked = (server: Omit<ServerLabel, 'index'>, address?: string) => {
  const query = queryFor('a.test', 'A');
  const client = { ...clientAt('10.244.0.7', 4_711), asked: address };
  query.receive(query.wire, query.length, 'udp', { index: 0, ...server }, 0, () => client);
  return askedEndpoint(query);
};

it('the endpoint that a query was sent to is that of the listener, of its socket, or the one that the client asked', () => {
  const at = (address: string, port = 53) => ({ address, port });
  assert.deepEqual(asked({ label: 'dns://10.0.0.1:53' }, '10.0.0.2'), at('10.0.0.1'));
  assert.deepEqual(asked({ label: 'dns://[fe80::1%eth0]:5353' }), at('fe80::1%eth0', 5_353));
  assert.deepEqual(asked({ label: 'dns://:53' }, '10.0.0.2'), at('10.0.0.2'));
  assert.deepEqual(asked({ label: 'dns://[::]:53', family: 6 }, 'fd00::1'), at('fd00::1'));
  const socket = { family: 4, address: '10.0.0.3' } as const;
  assert.deepEqual(asked({ label: 'dns://0.0.0.0:53', ...socket }), at('10.0.0.3'));
  assert.equal(asked({ label: 'dns://:53' }), undefined);
  const { name } = queryFor('a.test', 'A');
  const server = { index: 0, label: 'dns://:53' };
  const question = { name, type: 1, dnssecOk: false, checkingDisabled: false, server };
  assert.equal(askedEndpoint(Query.internal(question, 0)), undefined, 'a query of the agent');
});
