/** `hosts [FILE [ZONES…]] { … }`: names and addresses from hosts files and from the Corefile itself. */
import { familyOf } from '../../base/address.ts';
import { ConfigError, errnoOf, messageOf } from '../../base/errors.ts';
import {
  durationArg,
  intArg,
  noArgs,
  oneArg,
  onlyUse,
  readOptions,
  zonesOf,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { Services } from '../../query/services.ts';
import { type HostsOptions, hostsHandler } from './handler.ts';
import { HostsTable, type TableOptions } from './table.ts';

const DEFAULT_FILE = '/etc/hosts';
const ROOT = Uint8Array.of(0);

interface Settings extends HostsOptions, TableOptions {
  readonly file: string;
  readonly reloadMs: number;
  readonly inline: string;
}

export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const settings = readSettings(line, block);
  const source = new Source(settings, line, services);
  return {
    name: 'hosts',
    handle: hostsHandler(settings, () => source.table),
    start: () => source.start(),
    stop: () => source.stop(),
  };
}

function readSettings(line: Line, block: Block): Settings {
  const [file, ...zones] = line.args;
  const body = line.body ?? [];
  const isInline = (option: Line): boolean => familyOf(option.name.text) !== undefined;
  const settings = {
    file: file?.text ?? DEFAULT_FILE,
    zones: zonesOf(zones, block).map(nameFromText),
    inline: body.filter(isInline).map(wordsOf).join('\n'),
    ttlSeconds: 3_600,
    reverse: true,
    reloadMs: 5_000,
    fallthrough: [] as Uint8Array[],
    fallthroughUnsupported: false,
  };
  readOptions(
    { ...line, body: body.filter((option) => !isInline(option)) },
    {
      ttl: (option) => {
        settings.ttlSeconds = intArg(oneArg(option), { min: 1, max: 65_535 });
      },
      no_reverse: (option) => {
        noArgs(option);
        settings.reverse = false;
      },
      reload: (option) => {
        settings.reloadMs = durationArg(oneArg(option));
      },
      fallthrough: ({ args }) => {
        settings.fallthrough = args.length === 0 ? [ROOT] : zonesOf(args, block).map(nameFromText);
      },
      fallthrough_unsupported: (option) => {
        noArgs(option);
        settings.fallthroughUnsupported = true;
      },
    },
  );
  if (settings.fallthroughUnsupported && settings.fallthrough.length === 0)
    throw new ConfigError(line.name.place, 'fallthrough_unsupported needs fallthrough: add it');
  return settings;
}

const wordsOf = ({ name, args }: Line): string =>
  [name, ...args].map((token) => token.text).join(' ');

/** The table in force: file and inline lines together, read again when the file changes. */
class Source {
  readonly #settings: Settings;
  readonly #services: Services;
  #watch: { close(): void } | undefined;
  table: HostsTable;

  constructor(settings: Settings, line: Line, services: Services) {
    this.#settings = settings;
    this.#services = services;
    let text = '';
    try {
      text = services.files.read(settings.file);
    } catch (error) {
      const reason = `hosts file ${settings.file} cannot be read: ${messageOf(error)}`;
      if (errnoOf(error) !== 'ENOENT') throw new ConfigError(line.name.place, reason);
      services.log.warn({ file: settings.file }, `${reason}; going on without it`);
    }
    this.table = this.#read(text);
  }

  start(): void {
    const { file, reloadMs } = this.#settings;
    this.#publish();
    if (reloadMs > 0) {
      this.#watch = this.#services.files.watch(file, reloadMs, () => this.#reload());
    }
  }

  stop(): void {
    this.#watch?.close();
  }

  /** What was read before stays in force while the file is gone, as in the peer. */
  #reload(): void {
    const { file } = this.#settings;
    let text: string;
    try {
      text = this.#services.files.read(file);
    } catch (error) {
      this.#services.log.warn(
        { file },
        `hosts file ${file} cannot be read, keeping what it said: ${messageOf(error)}`,
      );
      return;
    }
    this.table = this.#read(text);
    this.#publish();
  }

  #read(fileText: string): HostsTable {
    const { file, inline } = this.#settings;
    const table = new HostsTable(`${fileText}\n${inline}`, this.#settings);
    const { skipped } = table;
    if (skipped > 0)
      this.#services.log.warn(
        { file, skipped },
        'words in hosts that are neither address nor name, or too many',
      );
    return table;
  }

  #publish(): void {
    const { metrics, clock } = this.#services;
    const { file } = this.#settings;
    metrics.gauge('coredns_hosts_entries', { hostsfile: file }).value = this.table.entries;
    metrics.gauge('coredns_hosts_reload_timestamp_seconds').value = clock.wallMs() / 1_000;
  }
}
