import assert from 'node:assert/strict';
import { it } from 'node:test';
import { lackReporter } from '../../../../agent/observe/log/local-lack.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { ReadableMetrics, RecordingLogger } from '../../../support/services.ts';

it('a lack is counted each time, and an error in the log at most once a minute for each kind', async () => {
  const clock = new FakeClock();
  const metrics = new ReadableMetrics();
  const log = new RecordingLogger();
  const report = lackReporter(metrics, log, clock);
  for (let second = 0; second < 150; second++) {
    report('descriptors', 'EMFILE', 'ask 192.0.2.1:53 over udp');
    await clock.advance(1_000);
  }
  report('memory', 'ENOMEM', 'read Corefile');
  const count = (what: string): number => metrics.value('nodens_local_lack_total', { what });
  assert.deepEqual([count('descriptors'), count('memory'), count('ports')], [150, 1, 0]);
  assert.deepEqual(
    log.records.map(({ level, fields }) => [level, fields.event, fields.what, fields.errno]),
    [
      ...Array.from({ length: 3 }, () => ['error', 'local-lack', 'descriptors', 'EMFILE']),
      ['error', 'local-lack', 'memory', 'ENOMEM'],
    ],
  );
  assert.equal(
    log.records[0]?.message,
    'this node lacks descriptors (EMFILE): the agent cannot ask 192.0.2.1:53 over udp',
  );
  for (const { fields } of log.records) assert.equal(typeof fields.remedy, 'string');
});
