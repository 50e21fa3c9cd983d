/** From a normalised command line to the agent's start options. */

import { isAbsolute } from 'node:path';
import { Command } from 'commander';
import { type Endpoint, familyOf, parseEndpoint, parsePort } from '../base/address.ts';
import { ADMIN_SOCKET_ENV, defaultAdminSockets } from '../base/admin-socket.ts';
import { CONTROL_SOCKET_ENV, DEFAULT_CONTROL_SOCKET } from '../base/control.ts';
import { UsageError } from '../base/errors.ts';
import { type FlagValues, type ParsedFlags, parseWith } from '../base/flags/parse.ts';
import { defaultOf } from '../base/flags/table.ts';
import type { CommandName } from '../base/flags/types.ts';
import { LIMITS } from '../base/limits.ts';
import { parseSizeBytes } from '../base/text/size.ts';
import type { AgentOptions } from '../daemon/options.ts';

/** The values that `parseFlags` returns and `agentOptions` reads. */
export type { FlagValues };

/** Parses the flags of `command`. Throws UsageError. */
export function parseFlags(argv: readonly string[], command: CommandName): ParsedFlags {
  return parseWith(new Command(), command, argv);
}

/** Value of a flag of the agent or the drop-in, or its default from the table. */
export function flagOr(values: FlagValues, name: string): string | undefined {
  return values[name] ?? defaultOf('drop-in', name);
}

/** Throws UsageError with the flag and its valid values. */
export function agentOptions(values: FlagValues): AgentOptions {
  return {
    localIps: addresses(values.localip ?? ''),
    confPath: values.conf ?? values.corefile,
    basePath: flagOr(values, 'basecorefile') as string,
    kubeDnsDir: flagOr(values, 'kubednscm') as string,
    upstreamService: flagOr(values, 'upstreamsvc') as string,
    knowsKubernetes: values['without-kubernetes-service'] !== 'true',
    port: port(flagOr(values, 'dns.port') as string),
    metricsAddress: listenAddress('metrics-listen-address', values['metrics-listen-address']),
    prometheusAddress: flagOr(values, 'prometheus-listen-address') as string,
    reloadWithSignal: values.reloadwithsignal === 'true',
    pidFile: values.pidfile || undefined,
    isQuiet: values.quiet === 'true',
    socketPath: socketPath(values),
    hearsInit: process.env[CONTROL_SOCKET_ENV] !== '',
    memoryBytes: size(values.memory),
    nodeShare: nodeShare(flagOr(values, 'node-share') as string),
    snapshotPath: values.snapshot || undefined,
    adminSockets: adminSockets(values),
    isAdminSocketChosen: chosenAdminSocket(values) !== undefined,
  };
}

/** Paths of the admin socket, best first; empty for none. Throws UsageError for a relative path. */
export function adminSockets(values: FlagValues): readonly string[] {
  const chosen = chosenAdminSocket(values);
  if (chosen === undefined) return defaultAdminSockets(process.env);
  if (chosen === '') return [];
  if (!isAbsolute(chosen))
    throw new UsageError(`flag -admin-socket: "${chosen}" is not an absolute path`);
  return [chosen];
}

function chosenAdminSocket(values: FlagValues): string | undefined {
  return values['admin-socket'] ?? process.env[ADMIN_SOCKET_ENV];
}

/** With local IPs there is an init to connect to, unless `-without-init` (or `-socket ""`) says that there is none. */
function socketPath(values: FlagValues): string | undefined {
  const { socket, localip } = values;
  if (values['without-init'] === 'true') {
    if (!socket) return undefined;
    throw new UsageError('flags -without-init and -socket exclude each other: leave one out');
  }
  if (socket !== undefined) return socket || undefined;
  return localip === undefined ? undefined : DEFAULT_CONTROL_SOCKET;
}

function addresses(list: string): string[] {
  const found = list.split(',').map((text) => text.trim());
  if (found.length === 1 && found[0] === '') return [];
  for (const address of found) {
    if (familyOf(address) === undefined) {
      throw new UsageError(`flag -localip: "${address}" is not an IP address`);
    }
  }
  return [...new Set(found)];
}

function port(text: string): number {
  const value = parsePort(text);
  if (value === undefined)
    throw new UsageError(`flag -dns.port: "${text}" is not a port (1–65535)`);
  return value;
}

function listenAddress(flag: string, text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (parseListen(text) === undefined) {
    throw new UsageError(`flag -${flag}: "${text}" is not an address with a port`);
  }
  return text;
}

/** `host:port` or `:port`. */
function parseListen(text: string): Endpoint | undefined {
  const whole = text.startsWith(':') ? `0.0.0.0${text}` : text;
  return /:\d+$/.test(whole)
    ? parseEndpoint(whole.replace(/^localhost:/, '127.0.0.1:'), 0)
    : undefined;
}

function nodeShare(text: string): number {
  const { min, max } = LIMITS.nodeShare;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`flag -node-share: "${text}" is not a whole number from ${min} to ${max}`);
  return value;
}

function size(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSizeBytes(text);
  if (bytes === undefined)
    throw new UsageError(`flag -memory: "${text}" is not a size such as 64Mi`);
  return bytes;
}
