/** The services of a plugin in a test: a clock that only the test advances, and services that record their calls. */
import { PodSources } from '../../agent/base/clients/pod-sources.ts';
import { InternalError } from '../../agent/base/errors.ts';
import { PacedWork } from '../../agent/base/paced-work.ts';
import { fileOf, textOf } from '../../agent/config/files.ts';
import { SeriesTable } from '../../agent/observe/metrics/metrics.ts';
import { SERIES } from '../../agent/observe/metrics/names.ts';
import type { AdminHandler, MetricsPageOptions } from '../../agent/query/services/admin.ts';
import type { BlockContext } from '../../agent/query/services/block.ts';
import type { FinishedSpan } from '../../agent/query/services/exports.ts';
import type { LogFields, Logger } from '../../agent/query/services/log.ts';
import type { Labels } from '../../agent/query/services/metrics.ts';
import type { TcpTimeouts } from '../../agent/query/services/process.ts';
import type { Services } from '../../agent/query/services/services.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeKubernetesApi } from './kubernetes/fake-api.ts';
import { ledgerWith } from './ledger.ts';
import { familyOf } from './metrics/families.ts';

export interface LogRecord {
  readonly level: keyof Logger;
  readonly fields: LogFields;
  readonly message: string;
}

/** All log records, in order. */
export class RecordingLogger implements Logger {
  readonly records: LogRecord[] = [];

  debug(fields: LogFields, message: string): void {
    this.records.push({ level: 'debug', fields, message });
  }
  info(fields: LogFields, message: string): void {
    this.records.push({ level: 'info', fields, message });
  }
  warn(fields: LogFields, message: string): void {
    this.records.push({ level: 'warn', fields, message });
  }
  error(fields: LogFields, message: string): void {
    this.records.push({ level: 'error', fields, message });
  }
}

/** The real table of series, so that a wrong name or label fails the test, readable by tests. */
export class ReadableMetrics extends SeriesTable {
  /** Value of a counter or gauge; 0 where no code has touched it. Throws for a name that is not in the table. */
  value(name: string, labels: Labels = {}): number {
    if (!Object.hasOwn(SERIES, name)) throw new InternalError(`no series named ${name}`);
    const sample = familyOf(this, name)?.values.find(({ labels: found }) =>
      Object.entries(labels).every(([label, value]) => found[label] === value),
    );
    return sample?.value ?? 0;
  }
}

export interface AdminPage {
  readonly address: string;
  readonly path: string;
  readonly handler: (params?: URLSearchParams) => ReturnType<AdminHandler>;
}

/** What the directives of one configuration requested of the process. */
export interface RecordedProcess {
  lameduckMs: number | undefined;
  reload: { intervalMs: number; jitterMs: number } | undefined;
  debug: boolean;
  measured: boolean;
  tcpTimeouts: TcpTimeouts | undefined;
  unready: readonly string[];
}

export interface FakeServices extends Services {
  readonly clock: FakeClock;
  readonly log: RecordingLogger;
  readonly metrics: ReadableMetrics;
  /** Lines given to `writeLine`. */
  readonly lines: string[];
  readonly pages: AdminPage[];
  /** Each request for /metrics. */
  readonly metricsPages: ({ readonly address: string } & MetricsPageOptions)[];
  /** Addresses of requests for the status page. */
  readonly statusPages: string[];
  /** All exports, in order. */
  readonly spans: FinishedSpan[];
  readonly frames: Uint8Array[];
  readonly asked: RecordedProcess;
  readonly kubernetes: FakeKubernetesApi;
  /** Text of the files that exist; set an entry and call `touch` to change one. */
  readonly texts: Map<string, string | Uint8Array>;
  /** Notifies the watchers of `path` that it may have changed. */
  readonly touch: (path: string) => void;
}

export const TEST_BLOCK: BlockContext = {
  id: 1,
  zones: ['.'],
  view: '',
  belowCache: 'forward . 192.0.2.53',
  servers: [{ index: 0, label: 'dns://127.0.0.1:53' }],
};

/** New services for one test. The cache passes everything on; there are no upstreams and no files. */
export function fakeServices(overrides: Partial<FakeServices> = {}): FakeServices {
  const lines: string[] = [];
  const pages: AdminPage[] = [];
  const metricsPages: FakeServices['metricsPages'] = [];
  const statusPages: string[] = [];
  const spans: FinishedSpan[] = [];
  const frames: Uint8Array[] = [];
  const asked: RecordedProcess = {
    lameduckMs: undefined,
    reload: undefined,
    debug: false,
    measured: false,
    tcpTimeouts: undefined,
    unready: [],
  };
  const { clock = new FakeClock() } = overrides;
  return {
    clock,
    work: new PacedWork(clock),
    pods: new PodSources(),
    log: new RecordingLogger(),
    metrics: new ReadableMetrics(),
    writeLine: (line) => void lines.push(line),
    lines,
    pages,
    metricsPages,
    statusPages,
    spans,
    frames,
    exports: {
      spans: () => ({ add: (span) => void spans.push(span), close: () => {} }),
      frames: () => ({ add: (frame) => void frames.push(frame), close: () => {} }),
      profile: (kind, seconds) => Promise.resolve(Buffer.from(`${kind} ${seconds}`)),
    },
    admin: {
      add: (address, path, handler) =>
        void pages.push({
          ...{ address, path },
          handler: (params = new URLSearchParams()) => handler(params),
        }),
      addMetrics: (address, options) => void metricsPages.push({ address, ...options }),
      addStatus: (address) => void statusPages.push(address),
    },
    asked,
    process: recordingProcess(asked),
    ...fakeFiles(),
    ledger: ledgerWith(),
    cache: { open: () => ({ handle: (query, next) => next(query) }) },
    upstreams: {
      group: () => {
        throw new InternalError('this test has no upstreams');
      },
    },
    kubernetes: new FakeKubernetesApi(() => clock.nowMs()),
    block: TEST_BLOCK,
    taps: { forwarded: undefined },
    resolve: () => Promise.reject(new InternalError('this test has no server to ask')),
    resolveNow: () => Promise.reject(new InternalError('this test has no server to ask')),
    random: () => 0.5,
    ...overrides,
  };
}

function recordingProcess(asked: RecordedProcess): Services['process'] {
  return {
    lameduck: (durationMs) => {
      asked.lameduckMs = durationMs;
    },
    reload: (intervalMs, jitterMs) => {
      asked.reload = { intervalMs, jitterMs };
    },
    debug: () => {
      asked.debug = true;
    },
    measureTraffic: () => {
      asked.measured = true;
    },
    tcpTimeouts: (patience) => {
      asked.tcpTimeouts = patience;
    },
    unready: () => asked.unready,
  };
}

function fakeFiles(): Pick<FakeServices, 'files' | 'texts' | 'touch'> {
  const texts = new Map<string, string | Uint8Array>();
  const bytesOf = (path: string): Buffer => {
    const text = texts.get(path);
    if (text !== undefined) return Buffer.from(text);
    const missing = new Error(`ENOENT: no such file or directory, open '${path}'`);
    throw Object.assign(missing, { code: 'ENOENT' });
  };
  const watchers = new Set<{ path: string; onChange: () => void }>();
  return {
    texts,
    touch: (path) => {
      for (const watcher of watchers) if (watcher.path === path) watcher.onChange();
    },
    files: {
      read: (path) => textOf(bytesOf(path)),
      open: (path) =>
        Promise.resolve().then(() => {
          const bytes = bytesOf(path);
          return fileOf(bytes, bytes.toString('latin1'));
        }),
      watch: (path, _intervalMs, onChange) => {
        const watcher = { path, onChange };
        watchers.add(watcher);
        return { close: () => void watchers.delete(watcher) };
      },
    },
  };
}
