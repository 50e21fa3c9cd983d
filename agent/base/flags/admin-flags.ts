/** Flags of the commands that ask the running agent. */
import { ADMIN_COMMANDS, type Flag } from './types.ts';

/** In the order of the help texts; `-admin-socket` is in the table of the agent's flags. */
export const ADMIN_FLAGS: readonly Flag[] = [
  {
    name: 'json',
    commands: ADMIN_COMMANDS.filter((command) => command !== 'support'),
    help: 'print JSON: one object, and one a line where there are several',
  },
  {
    name: 'zone',
    value: 'NAME',
    commands: ['cache'],
    help: 'flush: every entry of this name and of all names below it',
  },
  {
    name: 'trace',
    commands: ['query'],
    help: 'print each step: the block, plugins that acted, the cache, every attempt at an upstream',
  },
  {
    name: 'client',
    value: 'IP',
    default: '127.0.0.1',
    commands: ['query'],
    help: 'ask as this client: acl, views and limits treat the query as its own',
  },
  {
    name: 'listener',
    value: 'ADDR:PORT',
    defaultText: 'the first one',
    commands: ['query', 'explain'],
    help: 'ask on this address of the agent, where blocks differ by address (nodens status lists them)',
  },
  {
    name: 'namespace',
    value: 'NAME',
    default: 'default',
    commands: ['explain'],
    help: 'of the pod, where no watch of autopath knows it',
  },
  { name: 'dnssec', commands: ['query'], help: 'ask with DO' },
  { name: 'cd', commands: ['query'], help: 'ask with CD' },
  { name: 'tcp', commands: ['query'], help: 'ask as over TCP: no limit of size' },
  { name: 'all', commands: ['cache'], help: 'flush: every entry' },
  {
    name: 'follow',
    aliases: ['f'],
    commands: ['observe'],
    help: 'until interrupted, or for -for if both are given',
  },
  {
    name: 'for',
    value: 'TIME',
    default: '5s',
    commands: ['observe'],
    help: 'observe for this long',
  },
  {
    name: 'client',
    value: 'IP',
    commands: ['observe'],
    help: 'only queries of this client',
  },
  {
    name: 'name',
    value: 'PATTERN',
    commands: ['observe'],
    help: 'only names like PATTERN, in which * stands for any text',
  },
  { name: 'rcode', value: 'RCODE', commands: ['observe'], help: 'only with this rcode' },
  {
    name: 'slow',
    value: 'TIME',
    commands: ['observe'],
    help: 'only queries that took at least this long, such as 50ms',
  },
  { name: 'stale', commands: ['observe'], help: 'only stale answers' },
  {
    name: 'output',
    aliases: ['o'],
    value: 'FORMAT',
    default: 'text',
    commands: ['observe'],
    help: 'text or json',
  },
  {
    name: 'output',
    aliases: ['o'],
    value: 'FILE',
    defaultText: 'standard output',
    commands: ['support'],
    help: 'write the archive there',
  },
  { name: 'once', commands: ['top'], help: 'print one picture and end' },
  {
    name: 'interval',
    value: 'TIME',
    default: '2s',
    commands: ['top'],
    help: 'time between pictures, 200ms to 1m',
  },
];
