/** `hosts [FILE [ZONES…]] { … }`: names and addresses from hosts files and from the Corefile itself. */
import { familyOf } from '../../base/address.ts';
import { ConfigError } from '../../base/errors.ts';
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
import type { Services } from '../../query/services/services.ts';
import { type HostsOptions, hostsHandler } from './handler.ts';
import { Source, type SourceOptions } from './source.ts';

const DEFAULT_FILE = '/etc/hosts';
const ROOT = Uint8Array.of(0);

type Settings = HostsOptions & Omit<SourceOptions, 'place'>;

/** Reads nothing before `prepare`. Throws ConfigError for a second use and for contradicting options. */
export function setup(directive: Directive, block: Block, services: Services): Plugin {
  const line = onlyUse(directive);
  const settings = readSettings(line, block);
  const source = new Source({ ...settings, place: line.name.place }, services);
  return {
    name: 'hosts',
    handle: hostsHandler(settings, () => source.answers),
    prepare: (pace) => source.prepare(pace),
    discard: () => source.stop(),
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
