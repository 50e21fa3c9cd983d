import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../../../agent/base/errors.ts';
import { type ApiAccess, apiAccessReader } from '../../../../agent/config/corefile/api-access.ts';
import { onlyUse, readOptions } from '../../../../agent/config/corefile/args.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';

function read(...options: readonly string[]): ApiAccess {
  const { directive } = parseDirective(`kubernetes {\n${options.join('\n')}\n}`);
  const reader = apiAccessReader(directive.place);
  readOptions(onlyUse(directive), reader.options);
  return reader.access();
}

const refused = (option: string, reason: RegExp): void =>
  assert.throws(
    () => read(option),
    (error) => error instanceof ConfigError && reason.test(error.message),
    option,
  );

describe('options of the API server', () => {
  it('are absent without words', () => {
    const { place, ...rest } = read();
    assert.equal(typeof place.line, 'number');
    assert.deepEqual(rest, {});
  });

  it('are read with their positions', () => {
    const access = read(
      'endpoint https://192.0.2.1:6443',
      'tls cert.pem key.pem ca.pem',
      'kubeconfig /etc/kubeconfig lab',
      'apiserver_qps 7',
      'apiserver_burst 20',
    );
    assert.equal(access.endpoint?.text, 'https://192.0.2.1:6443');
    assert.deepEqual(
      [access.tls?.cert.text, access.tls?.key.text, access.tls?.ca.text],
      ['cert.pem', 'key.pem', 'ca.pem'],
    );
    assert.equal(access.kubeconfig?.path.text, '/etc/kubeconfig');
    assert.equal(access.kubeconfig?.context?.text, 'lab');
    assert.deepEqual([access.requestsPerSecond, access.burst], [7, 20]);
    assert.equal(access.endpoint?.place.line, (access.tls?.cert.place.line ?? 0) - 1);
  });

  it('are refused with the word at fault', () => {
    refused('endpoint 192.0.2.1', /"192\.0\.2\.1" is not the URL of an API server/);
    refused('endpoint ftp://192.0.2.1', /is not the URL/);
    refused('endpoint https://user:secret@192.0.2.1', /is not the URL/);
    refused('tls cert.pem key.pem', /tls needs 3 arguments, got 2/);
    refused('kubeconfig', /kubeconfig needs at least one argument/);
    refused('kubeconfig a b c', /remove "c"/);
    refused('apiserver_qps 0', /too little/);
    refused('apiserver_burst many', /not a whole number/);
    refused('endpoint http://a\nendpoint http://b', /endpoint is given twice/);
  });
});
