/** Flags of the commands that ask the running agent. */
import { ADMIN_COMMANDS, type Flag } from './types.ts';

/** In the order of the help texts; `-admin-socket` is in the table of the agent's flags. */
export const ADMIN_FLAGS: readonly Flag[] = [
  { name: 'json', commands: [...ADMIN_COMMANDS], help: 'print JSON, one object a line' },
  {
    name: 'zone',
    value: 'NAME',
    commands: ['cache'],
    help: 'flush: every entry of this name and of all names below it',
  },
  { name: 'all', commands: ['cache'], help: 'flush: every entry' },
];
