/** Names of the field: the former names of our own do not come back. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, it } from 'node:test';
import { treeFiles } from '../../support/tree/imports.ts';
import { identifiersIn } from '../../support/tree/names.ts';

/** Former name: standard name. */
const STANDARD: Readonly<Record<string, string>> = {
  Admission: 'QueryProcessor',
  TrafficRow: 'RequestMetrics',
  SILENCE: 'DropQuery (an error), DROPPED (in place of an answer)',
  mayNotKnow: 'isFinRecent',
  isOwed: 'hasPendingResponses',
  bePatient: 'setTcpTimeouts',
  TcpPatience: 'TcpTimeouts',
  Outbox: 'DeferredReplies',
  chooseNative: 'selectTransport',
  layFoundation: 'createProcessServices',
  Assembler: 'ServerConfigBuilder',
  Assembly: 'ServerConfig',
  Configurations: 'ConfigReloader',
  holdUps: 'notReadyReasons',
  proveUpstreams: 'waitForUpstreams',
  stillServices: 'noopServices',
  takeHeap: 'reexecWithHeapFlags',
  laptopCommand: 'standaloneCommand',
  pillars: 'placeholders',
  WeatherError: 'ExpectedError',
  FOLD_BY: 'DEDUPLICATE_BY',
  Distribution: 'HistogramSeries',
  Keeper: 'ResponseWriter',
  KeepOptions: 'TtlBounds',
  Front: 'HotIndex',
  BlockLedgers: 'EntriesByKind',
  Share: 'Partition',
  Doubts: 'DenialBurstDetector',
  Flights: 'InflightQueries',
  Flight: 'PendingQuery (upstream), InflightQuery (cache)',
  Cuts: 'NxdomainCuts',
  uselessMs: 'dropAfterMs',
  octet: 'byte',
  octets: 'bytes',
  octetKey: 'byteKey',
  generation: 'configVersion',
  Carrier: 'Connection',
  Member: 'GroupMember',
  Checks: 'HealthRegistry',
  Deadlines: 'TimerWheel',
  patienceMs: 'timeoutMs',
  isDeaf: 'isUnresponsive',
  heir: 'replacement',
  tookDetour: 'fellBack',
  meters: 'metrics',
  NftHolder: 'TableOwner',
  TableKeeper: 'TableSync',
  FallbackGate: 'FallbackReadiness',
  AgentWatch: 'AgentHealth',
  Composite: 'CombinedFirewall',
  Dispensable: 'Optional',
  openingMark: 'SYN mark',
  led: 'redirected',
  told: 'lastLogged, given, summary …',
  tell: 'log, notify, report',
  hear: 'onData, onMessage',
  heard: 'recordReply, messages',
  ruledIps: 'interceptedIps',
  Outward: 'Masquerade',
  herald: '(removed: docs/decisions/018-herald-removed.md)',
  squatter: 'port occupier',
  hammer: 'stress',
  rig: 'fixture',
  Rig: 'Fixture',
  World: 'Fixture',
  story: 'scenario',
  scene: 'step',
};

/** Former name of a file, without its endings: standard name. */
const STANDARD_FILES: Readonly<Record<string, string>> = {
  admission: 'query-processor',
  steer: 'reuseport-takeover',
  foundation: 'process-services',
  assemble: 'server-config-builder',
  configurations: 'config-reloader',
  pillars: 'placeholders',
  fold: 'deduplication',
  distribution: 'histogram',
  lines: 'stdout-writer',
  keep: 'response-writer',
  front: 'hot-index',
  ledger: 'block-entries',
  doubt: 'denial-bursts',
  refresh: 'single-flight',
  holder: 'owner-process',
  gate: 'fallback-readiness',
  watcher: 'health',
  leftovers: 'takeover',
  orphans: 'reaping',
  tag: 'rule-comment',
  choose: 'select',
  herald: '(removed)',
  flight: 'pending-query',
  deadlines: 'timer-wheel',
  spelling: 'case-randomization',
  member: 'group-member',
  target: 'upstream',
  meters: 'upstream-metrics',
  squatter: 'port-occupier',
  hammer: 'addon-stress',
  rig: 'fixture',
  world: 'fixture',
  story: 'scenario',
  steady: 'background-load',
  floor: 'baseline',
};

const SOURCES = treeFiles().filter((file) => !file.startsWith('test/unit/tree/'));

describe('names', () => {
  it('are those of the field', () => {
    const found = SOURCES.flatMap((file) =>
      [...identifiersIn(readFileSync(file, 'utf8'))]
        .filter((name) => Object.hasOwn(STANDARD, name))
        .map((name) => `${file}: ${name} is called ${STANDARD[name]}`),
    );
    assert.deepEqual(found, []);
  });

  it('of files are those of the field', () => {
    const found = SOURCES.filter((file) => file.startsWith('agent/') || file.startsWith('init/'))
      .map((file) => [file, basename(file).replace(/\..*$/, '')] as const)
      .filter(([, name]) => Object.hasOwn(STANDARD_FILES, name))
      .map(([file, name]) => `${file}: call it ${STANDARD_FILES[name]}`);
    assert.deepEqual(found, []);
  });

  it('are read from code, not from comments and texts', () => {
    const place = ['$', '{Member}'].join('');
    const text = `/** A Keeper. */\nconst a = 'Rig'; // Front\nclass B { #heir = \`Flight ${place} Cuts\`; }`;
    const names = ['B', 'Member', 'a', 'class', 'const', 'heir'];
    assert.deepEqual([...identifiersIn(text)].sort(), names);
  });
});
