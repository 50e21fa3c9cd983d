/** The effects of a reload, and their order. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NetworkError } from '../../../../agent/base/errors.ts';
import { UnreadError } from '../../../../agent/base/lack.ts';
import { ConfigReloader } from '../../../../agent/daemon/configuration/config-reloader.ts';
import { RCODE, TYPE } from '../../../../agent/dns/iana.ts';
import { nameFromText } from '../../../../agent/dns/name.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { Query } from '../../../../agent/query/query.ts';
import { Dispatcher } from '../../../../agent/server/dispatch.ts';
import { parseText } from '../../../support/corefiles/parse.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { ReadableMetrics, RecordingLogger } from '../../../support/services.ts';
import { assembled } from './assembling.ts';

const ONE = '.:5301 {\nbind 127.0.0.1\nwhoami\n}\n';
const TWO = '.:5301 .:5302 {\nbind 127.0.0.1\ndebug\nwhoami\n}\n';

interface State {
  text: string;
  /** Error on reading, if any. */
  unread: UnreadError | undefined;
  plugin: Plugin;
  onOpen: () => Promise<void>;
  onRetain: () => Promise<void>;
}

function setUp() {
  const plain = new RecordingLogger();
  const levels: string[] = [];
  const log = Object.assign(plain, {
    setLevel: (level: string) => void levels.push(level),
    close: () => {},
  });
  const metrics = new ReadableMetrics();
  const dispatcher = new Dispatcher(log, { value: 0 });
  const rcodeAt = async (index: number): Promise<number> => {
    const question = { name: nameFromText('a.test'), type: TYPE.A, server: { index, label: '' } };
    const rest = { dnssecOk: false, checkingDisabled: false };
    return (await dispatcher.handle(Query.internal({ ...question, ...rest }, 0))).rcode;
  };
  const nothing = async (): Promise<void> => {};
  const plugin: Plugin = { name: 'extra' };
  const state: State = { text: ONE, unread: undefined, plugin, onOpen: nothing, onRetain: nothing };
  const clock = new FakeClock();
  const lacks: string[] = [];
  /** Listeners of each configuration whose pages were opened. */
  const published: number[] = [];
  const configurations = new ConfigReloader({
    load: () => {
      if (state.unread !== undefined) throw state.unread;
      return parseText(state.text);
    },
    inputs: () => state.text,
    buildServerConfig: () => {
      const { serverConfig } = assembled(state.text);
      return { ...serverConfig, plugins: [...serverConfig.plugins, state.plugin] };
    },
    listeners: {
      open: () => state.onOpen(),
      retain: () => state.onRetain(),
      setTcpTimeouts: () => {},
    },
    publish: async ({ endpoints }) => void published.push(endpoints.length),
    ...{ dispatcher, log, clock, metrics },
    reportLack: (lack, errno) => void lacks.push(`${lack} ${errno}`),
  });
  return { configurations, rcodeAt, state, levels, metrics, log: plain, clock, lacks, published };
}

it('a listener that a reload adds answers as soon as it is bound', async () => {
  const { configurations, rcodeAt, state } = setUp();
  await configurations.prepare();
  await configurations.listen();
  assert.equal(await rcodeAt(1), RCODE.REFUSED);
  let atOpen: number | undefined;
  state.text = TWO;
  state.onOpen = async () => {
    atOpen = await rcodeAt(1);
  };
  await configurations.reload('signal');
  assert.equal(atOpen, RCODE.NOERROR);
});

it('a listener that a reload removes answers until it is closed', async () => {
  const { configurations, rcodeAt, state } = setUp();
  state.text = TWO;
  await configurations.prepare();
  await configurations.listen();
  let atClose: number | undefined;
  state.text = ONE;
  state.onRetain = async () => {
    atClose = await rcodeAt(1);
  };
  await configurations.reload('signal');
  assert.equal(atClose, RCODE.NOERROR);
  assert.equal(await rcodeAt(1), RCODE.REFUSED);
});

it('the pages of the start are those of a reload that came first', async () => {
  const { configurations, state, published } = setUp();
  await configurations.prepare();
  await configurations.listen();
  assert.deepEqual(published, [], 'the agent listens first');
  state.text = TWO;
  await Promise.all([configurations.reload('signal'), configurations.publish()]);
  assert.deepEqual(published, [2, 2]);
  configurations.stop();
  await configurations.publish();
  assert.equal(published.length, 2, 'none of an agent that stops');
});

it('`debug` follows a reload', async () => {
  const { configurations, state, levels } = setUp();
  await configurations.prepare();
  await configurations.listen();
  state.text = TWO;
  await configurations.reload('signal');
  state.text = ONE;
  await configurations.reload('signal');
  assert.deepEqual(levels, ['info', 'debug', 'info']);
});

it('a bad file is counted and logged once for each change, not at each check', async () => {
  const { configurations, state, metrics, log } = setUp();
  await configurations.prepare();
  await configurations.listen();
  const reported = () => ({
    failures: metrics.value('nodens_config_reloads_total', { result: 'failure' }),
    older: metrics.value('coredns_reload_failed_total'),
    lines: log.records.filter(({ level }) => level === 'error').length,
    valid: metrics.value('nodens_config_valid'),
  });
  const failed = (times: number) => ({ failures: times, older: times, lines: times, valid: 0 });
  state.text = '. {\nnonsense';
  for (const reason of ['change', 'interval', 'interval'] as const)
    await configurations.reload(reason);
  assert.deepEqual(reported(), failed(1));
  state.text = '. {\nother nonsense';
  for (const reason of ['interval', 'interval'] as const) await configurations.reload(reason);
  assert.deepEqual(reported(), failed(2));
  await configurations.reload('signal');
  assert.deepEqual(reported(), failed(3), 'a requested reload logs it again');
  state.text = ONE;
  await configurations.reload('interval');
  assert.deepEqual(reported(), { ...failed(3), valid: 1 });
  state.text = '. {\nother nonsense';
  await configurations.reload('interval');
  assert.deepEqual(reported(), failed(4), 'a file that became bad again');
});

it('a reload for which this node lacks resources is postponed, not counted as invalid', async () => {
  const { configurations, state, metrics, log, clock, lacks, rcodeAt } = setUp();
  await configurations.prepare();
  await configurations.listen();
  const results = (result: string) => metrics.value('nodens_config_reloads_total', { result });
  const failures = (): number[] => [
    results('failure'),
    metrics.value('coredns_reload_failed_total'),
    log.records.filter(({ level }) => level === 'error').length,
  ];
  const cause = Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  state.text = TWO;
  state.unread = new UnreadError('Corefile', 'descriptors', cause);
  await configurations.reload('change');
  assert.deepEqual([failures(), metrics.value('nodens_config_valid')], [[0, 0, 0], 1]);
  assert.match(log.records.at(-1)?.message ?? '', /^reload deferred, .* lacks descriptors/);

  // The file can be read again, but the port not bound.
  state.unread = undefined;
  state.onOpen = () => Promise.reject(new NetworkError('bind', 'ENOBUFS', 'cannot bind'));
  await clock.advance(5_000);
  await settle();
  assert.deepEqual(lacks, ['descriptors EMFILE', 'memory ENOBUFS']);
  assert.deepEqual(failures(), [0, 0, 0]);

  state.onOpen = async () => {};
  await clock.advance(5_000);
  await settle();
  assert.deepEqual([results('success'), await rcodeAt(1)], [1, RCODE.NOERROR]);
  await clock.advance(60_000);
  assert.equal(results('success'), 1, 'once');
});

it('a postponed reload of a signal is not replaced by one of a change', async () => {
  const { configurations, state, metrics, clock } = setUp();
  await configurations.prepare();
  await configurations.listen();
  const cause = Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  state.unread = new UnreadError('Corefile', 'descriptors', cause);
  await configurations.reload('signal');
  await configurations.reload('change');
  state.unread = undefined;
  await clock.advance(5_000);
  await settle();
  const successes = () => metrics.value('nodens_config_reloads_total', { result: 'success' });
  assert.equal(successes(), 1, 'the signal asks for files that have not changed');
  await configurations.reload('change');
  assert.equal(successes(), 1, 'a change does not');
});

it('a port in use is an error of the configuration, not a lack of resources', async () => {
  const { configurations, state, metrics, lacks } = setUp();
  await configurations.prepare();
  await configurations.listen();
  state.text = TWO;
  state.onOpen = () => Promise.reject(new NetworkError('bind', 'EADDRINUSE', 'cannot bind'));
  await configurations.reload('change');
  assert.equal(metrics.value('nodens_config_reloads_total', { result: 'failure' }), 1);
  assert.deepEqual(lacks, []);
});

/** A plugin that records its calls, and whose preparation ends when the test says so. */
function slowPlugin(): { plugin: Plugin; calls: string[]; end: (error?: Error) => void } {
  const calls: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const plugin: Plugin = {
    name: 'slow',
    prepare: (pace) => {
      calls.push(`prepare ${pace}`);
      return promise;
    },
    discard: () => void calls.push('discard'),
    start: () => void calls.push('start'),
    stop: () => void calls.push('stop'),
  };
  return { plugin, calls, end: (error) => (error === undefined ? resolve() : reject(error)) };
}

it('slow preparation ends before a configuration serves, and the old one serves until then', async () => {
  const { configurations, rcodeAt, state } = setUp();
  const first = slowPlugin();
  first.end();
  state.plugin = first.plugin;
  await configurations.prepare();
  await configurations.listen();
  assert.deepEqual(first.calls, ['prepare at once', 'start']);
  const second = slowPlugin();
  Object.assign(state, { text: TWO, plugin: second.plugin });
  const reloaded = configurations.reload('signal');
  await settle();
  assert.deepEqual(second.calls, ['prepare beside queries']);
  assert.equal(await rcodeAt(0), RCODE.NOERROR);
  assert.equal(await rcodeAt(1), RCODE.REFUSED);
  second.end();
  await reloaded;
  assert.deepEqual(second.calls, ['prepare beside queries', 'start']);
  assert.equal(await rcodeAt(1), RCODE.NOERROR);
});

it('a configuration that cannot start is discarded', async () => {
  const { configurations, rcodeAt, state, log } = setUp();
  await configurations.prepare();
  await configurations.listen();
  const unprepared = slowPlugin();
  unprepared.end(new Error('no room'));
  Object.assign(state, { text: TWO, plugin: unprepared.plugin });
  await configurations.reload('signal');
  assert.deepEqual(unprepared.calls, ['prepare beside queries', 'discard']);
  assert.match(log.records.at(-1)?.message ?? '', /keeping the old configuration: no room/);
  assert.equal(await rcodeAt(1), RCODE.REFUSED);
  const unbound = slowPlugin();
  unbound.end();
  state.plugin = unbound.plugin;
  state.onOpen = () => Promise.reject(new Error('no port'));
  await configurations.reload('signal');
  assert.deepEqual(unbound.calls, ['prepare beside queries', 'discard']);
});

it('a stop during a reload ends it: nothing is opened any more', async () => {
  const { configurations, state, log } = setUp();
  await configurations.prepare();
  await configurations.listen();
  const { plugin, calls, end } = slowPlugin();
  let opened = 0;
  const onOpen = async (): Promise<void> => void opened++;
  Object.assign(state, { text: TWO, plugin, onOpen });
  const reloaded = configurations.reload('signal');
  await settle();
  configurations.stop();
  end();
  await reloaded;
  assert.deepEqual(calls, ['prepare beside queries', 'discard']);
  assert.equal(opened, 0);
  assert.deepEqual(log.records, []);
});

it('a reload before the listeners exist binds nothing: the start then binds those of the new configuration', async () => {
  const { configurations, rcodeAt, state } = setUp();
  await configurations.prepare();
  let opened = 0;
  state.onOpen = async () => void opened++;
  state.text = TWO;
  await configurations.reload('signal');
  assert.deepEqual([opened, await rcodeAt(1)], [0, RCODE.NOERROR]);
  await configurations.listen();
  assert.equal(opened, 1);
});
