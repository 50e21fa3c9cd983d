/** `dnstap SOCKET|tcp://HOST:PORT|tls://HOST:PORT [full] [WRITEBUFFER] [QUEUE] { identity; version; extra; skipverify }`. */
import { parsePort } from '../../base/address.ts';
import {
  argsBetween,
  badValue,
  intArg,
  noArgs,
  oneArg,
  readOptions,
} from '../../config/corefile/args.ts';
import type { Block, Directive, Line, Token } from '../../config/corefile/types.ts';
import type { Plugin } from '../../query/plugin.ts';
import type { DnstapTarget, FrameExportOptions } from '../../query/services/exports.ts';
import type { Services } from '../../query/services/services.ts';
import { type Tap, tapForwarded, tapQueries } from './handler.ts';
import { CONTENT_TYPE } from './message.ts';

const MIB = 1024 * 1024;
/** The unit of the queue's length. */
const QUEUE_UNIT = 10_000;
const DEFAULT_PORT = 6_000;

/** Every use is a stream of its own, from `start` to `stop`. Throws ConfigError for an invalid target. */
export function setup(directive: Directive, _block: Block, services: Services): Plugin {
  const made = directive.uses.map((line) => readUse(line, services.log));
  const taps = made.map(({ tap }) => tap);
  services.taps.forwarded = tapForwarded(taps, services.clock);
  return {
    name: 'dnstap',
    handle: tapQueries(taps, services.clock),
    start: () => {
      for (const { tap, options } of made) tap.sink = services.exports.frames(options);
    },
    stop: () => {
      for (const tap of taps) {
        tap.sink?.close();
        // Queries in flight are answered later.
        tap.sink = undefined;
      }
    },
  };
}

function readUse(
  line: Line,
  log: Services['log'],
): { readonly tap: Tap; readonly options: FrameExportOptions } {
  const [endpoint, ...rest] = argsBetween(line, 1, 4) as readonly [Token, ...Token[]];
  const isFull = rest[0]?.text === 'full';
  const [buffer, queue, extra] = isFull ? rest.slice(1) : rest;
  if (extra !== undefined) throw badValue(extra, 'expected here');
  const origin = { identity: '', version: '', extra: '' };
  let isVerified = true;
  const text = (key: keyof typeof origin) => (option: Line) => {
    origin[key] = oneArg(option).text;
  };
  readOptions(line, {
    identity: text('identity'),
    version: text('version'),
    extra: text('extra'),
    skipverify: (option) => {
      noArgs(option);
      isVerified = false;
    },
  });
  const target = targetOf(endpoint, isVerified);
  if (target.kind === 'unix' && !target.path.startsWith('/'))
    log.warn(
      { event: 'corefile-warning', path: target.path },
      `dnstap ${target.path}: taken as a path relative to the working directory of nodens`,
    );
  return {
    tap: { origin, isFull, sink: undefined },
    options: {
      ...{ target, contentType: CONTENT_TYPE },
      maxBytes: (buffer === undefined ? 1 : intArg(buffer, { min: 1, max: 1_024 })) * MIB,
      maxFrames: (queue === undefined ? 1 : intArg(queue, { min: 1, max: 4_096 })) * QUEUE_UNIT,
    },
  };
}

function targetOf(token: Token, isVerified: boolean): DnstapTarget {
  const { text } = token;
  const stream = /^(tcp|tls):\/\/(?:\[([^\]]+)\]|([^:/]+))(?::(\d+))?$/.exec(text);
  if (stream !== null) {
    const [, kind, v6, name, digits] = stream;
    const port = digits === undefined ? DEFAULT_PORT : parsePort(digits);
    if (port === undefined) throw badValue(token, `${kind}://HOST:PORT`);
    const host = (v6 ?? name) as string;
    return kind === 'tls' ? { kind, host, port, isVerified } : { kind: 'tcp', host, port };
  }
  const path = text.replace(/^unix:\/\//, '');
  if (path === '' || path.includes('://'))
    throw badValue(token, 'the path of a socket, tcp://HOST:PORT or tls://HOST:PORT');
  // Relative to the process's working folder, as in CoreDNS.
  return { kind: 'unix', path };
}
