import { strict as assert } from 'node:assert';
import { createHook } from 'node:async_hooks';
import { it } from 'node:test';
import { createCache } from '../../../agent/cache/cache.ts';
import { BlockIdentities } from '../../../agent/daemon/configuration/block-ids.ts';
import { buildServerConfig } from '../../../agent/daemon/configuration/server-config-builder.ts';
import { buildResponse } from '../../../agent/dns/build.ts';
import { FLAG } from '../../../agent/dns/header.ts';
import { CLASS, RCODE, TYPE } from '../../../agent/dns/iana.ts';
import { nameFromText } from '../../../agent/dns/name.ts';
import { readReply } from '../../../agent/dns/reply.ts';
import { AnswerDurations } from '../../../agent/server/answer-durations.ts';
import { Dispatcher } from '../../../agent/server/dispatch.ts';
import { PENDING, QueryProcessor } from '../../../agent/server/query-processor.ts';
import { parseText } from '../../support/corefiles/parse.ts';
import { CLIENT } from '../../support/dns/queries.ts';
import { settle } from '../../support/fake-clock.ts';
import { queryWire, RecordingMetrics, SERVER } from '../../support/server/fixture.ts';
import { fakeServices } from '../../support/services.ts';

const COREFILE = `.:53 {
  bind 127.0.0.1
  prometheus 127.0.0.1:9253
  errors
  log
  loadbalance
  cache 30
  forward . 192.0.2.53
}`;

const QUESTION = { name: nameFromText('a.test'), type: TYPE.A, class: CLASS.IN };
const REPLY = buildResponse(QUESTION, {
  ...{ rcode: RCODE.NOERROR, flags: FLAG.RA },
  answer: [1, 2, 3].map((last) => ({
    ...{ type: TYPE.A, ttlSeconds: 300, rdata: Uint8Array.of(192, 0, 2, last) },
  })),
});

/** An agent without sockets: `receive` takes the query to the six plugins, the upstream is a fixed reply. */
function agentOfSixPlugins() {
  const base = fakeServices();
  const { clock, log, metrics, ledger } = base;
  const cache = createCache({
    ...{ clock, metrics, log, ledger, totalBytes: 1 << 20 },
    random: () => 0.5,
  });
  const asked = { value: 0 };
  const upstreams = {
    group: () => ({
      admits: () => true,
      exchange: () => {
        asked.value++;
        const reply = readReply(REPLY);
        assert.ok(reply !== undefined);
        return Promise.resolve({ reply, upstream: '192.0.2.53:53', transport: 'udp' as const });
      },
      release: () => undefined,
    }),
  };
  const requestMetrics = new RecordingMetrics();
  const serverConfig = buildServerConfig(parseText(COREFILE), {
    shared: { ...base, cache, upstreams },
    identities: new BlockIdentities(() => {}),
    interfaces: () => new Map(),
    notReadyReasons: () => [],
    label: () => SERVER,
    requestMetrics: () => requestMetrics,
  });
  for (const plugin of serverConfig.plugins) plugin.start?.();
  const dispatcher = new Dispatcher(log, { value: 0 });
  dispatcher.swap(serverConfig.tables);
  const count = { value: 0 };
  const counters = {
    tooShort: count,
    notAQuery: count,
    formErr: count,
    notImp: count,
    badVers: count,
    durations: new AnswerDurations(base.metrics),
  };
  const processor = new QueryProcessor(SERVER, 'udp', dispatcher, clock, counters);
  const out = Buffer.alloc(4_096);
  const wire = queryWire('a.test', 1, 1_232);
  const receive = (): number =>
    processor.receive(
      wire,
      wire.length,
      clock.nowMs(),
      () => CLIENT,
      out,
      () => undefined,
    );
  const stop = (): void => {
    for (const plugin of serverConfig.plugins) plugin.stop?.();
    cache.close();
  };
  return { receive, stop, asked, requestMetrics, lines: base.lines };
}

it('six plugins answer a hit without making a promise', async () => {
  const { receive, stop, asked, requestMetrics, lines } = agentOfSixPlugins();
  assert.equal(receive(), PENDING, 'the first is a miss');
  await settle();
  assert.ok(receive() > 0, 'the second is a hit');

  let promises = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') promises++;
    },
  }).enable();
  for (let i = 0; i < 100; i++) assert.ok(receive() > 0);
  const onHits = promises;
  void Promise.resolve().then(() => undefined);
  hook.disable();

  assert.equal(onHits, 0);
  assert.ok(promises > 0, 'the hook counts promises');
  assert.equal(asked.value, 1);
  assert.equal(requestMetrics.recorded.length, 102);
  assert.equal(lines.length, 102, 'each has its line in the query log');
  stop();
});
