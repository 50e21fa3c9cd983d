import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, NetworkError } from '../../../agent/base/errors.ts';
import { UnreadError } from '../../../agent/base/lack.ts';
import {
  ADDRESS_MS,
  DelayReport,
  delayFields,
  isWorthWaiting,
} from '../../../agent/daemon/start-delay.ts';
import { RecordingLogger } from '../../support/services.ts';

const PLACE = { file: 'Corefile', line: 1 };
const HOUR_MS = 3_600_000;

function failedBind(errno: string, where = '169.254.20.10:53/udp'): NetworkError {
  const cause = Object.assign(new Error(errno), { code: errno });
  return new NetworkError('bind', errno, `cannot bind ${where}: ${errno}`, { cause });
}

describe('a start waits for', () => {
  it('an address or port: without a limit with init, else for a minute', () => {
    for (const errno of ['EADDRNOTAVAIL', 'EADDRINUSE']) {
      assert.equal(isWorthWaiting(failedBind(errno), HOUR_MS, true), true);
      assert.equal(isWorthWaiting(failedBind(errno), 59_999, false), true);
      assert.equal(isWorthWaiting(failedBind(errno), 60_000, false), false);
    }
  });

  it('resources that this node lacks, to read or to bind', () => {
    const cause = Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
    for (const error of [
      failedBind('EMFILE'),
      failedBind('ENOMEM'),
      new UnreadError('Corefile', 'descriptors', cause),
    ]) {
      assert.equal(isWorthWaiting(error, HOUR_MS, true), true);
      assert.equal(isWorthWaiting(error, 60_000, false), false);
    }
  });

  it('never for an error that another process cannot mend', () => {
    assert.equal(isWorthWaiting(failedBind('EACCES'), 0, true), false);
    assert.equal(isWorthWaiting(new ConfigError(PLACE, 'no'), 0, true), false);
  });

  it('names the owner of the port and the remedy', () => {
    const { event, remedy } = delayFields(failedBind('EADDRINUSE', '[fd00::10]:1053/tcp'));
    assert.equal(event, 'port-taken');
    assert.match(String(remedy), /ss -lntup 'sport = :1053'/);
    assert.equal(delayFields(failedBind('EADDRNOTAVAIL')).remedy, undefined);
  });

  /** Levels of the log lines about `attempts` by `errno`, a quarter of a second apart. */
  function levels(errno: string, attempts: number, isBehindInit = true): string[] {
    const log = new RecordingLogger();
    const report = new DelayReport(log, isBehindInit);
    for (let attempt = 0; attempt < attempts; attempt++)
      report.log(failedBind(errno), attempt * 250);
    return log.records.map(({ level }) => level);
  }

  it('an address that init has yet to put on the node is a warning only after a while', () => {
    const usual = ADDRESS_MS / 250;
    assert.deepEqual(levels('EADDRNOTAVAIL', usual), ['info']);
    assert.deepEqual(levels('EADDRNOTAVAIL', usual + 1), ['info', 'warn']);
  });

  it('a port in use, and an address without init, are warnings at once', () => {
    assert.deepEqual(levels('EADDRINUSE', 1), ['warn']);
    assert.deepEqual(levels('EADDRNOTAVAIL', 1, false), ['warn']);
  });
});
