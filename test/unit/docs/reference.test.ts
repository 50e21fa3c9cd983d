/** docs/reference matches the tables in code. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { AGENT_EVENTS, INIT_EVENTS } from '../../../agent/base/events/table.ts';
import type { LogEvent } from '../../../agent/base/events/types.ts';
import { referencePages } from '../../support/docs/reference.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${ROOT}${path}`, 'utf8');

for (const [name, text] of referencePages())
  test(`docs/reference/${name} is up to date`, () => {
    assert.equal(read(`docs/reference/${name}`), text, 'run `npm run docs`');
  });

test('docs/reference has no other page', () => {
  const pages = globSync('docs/reference/*', { cwd: ROOT }).map((path) => path.split('/').at(-1));
  assert.deepEqual(pages.sort(), [...referencePages().keys()].sort());
});

for (const [room, table] of [
  ['agent', AGENT_EVENTS],
  ['init', INIT_EVENTS],
] as const)
  test(`${room}: the table of events has exactly the events of its log calls`, () => {
    const texts = globSync(`${room}/**/*.ts`, { cwd: ROOT })
      .filter((path) => !path.startsWith('agent/base/events/'))
      .map(read);
    // Only lines at level info: the types of the loggers check the others.
    const named = texts.flatMap((text) =>
      [...text.matchAll(/\bevent: '([a-z-]+)'/g)].map(([, event = '']) => event),
    );
    assert.deepEqual(
      named.filter((event) => !Object.hasOwn(table, event)),
      [],
    );
    const unused = Object.keys(table).filter(
      (event) => !texts.some((text) => text.includes(`'${event}'`)),
    );
    assert.deepEqual(unused, []);
  });

test('an event of both programs has the same meaning in both', () => {
  const both = Object.entries<LogEvent>(INIT_EVENTS).filter(([name]) => name in AGENT_EVENTS);
  const agents: Readonly<Record<string, LogEvent>> = AGENT_EVENTS;
  for (const [name, event] of both) assert.deepEqual(event, agents[name]);
});

test('the level of an event is that of its log calls', () => {
  const sources = globSync('{agent,init}/**/*.ts', { cwd: ROOT });
  const calls = sources.flatMap((path) => [
    ...[...read(path).matchAll(/log\.(warn|error)\(\s*\{ (?:\.\.\.\{ )?event: '([a-z-]+)'/g)].map(
      ([, level = '', event = '']) => ({ level, event }),
    ),
    ...[
      ...read(path).matchAll(
        /log\.(warn|error)\((?:[^{};]|\$\{[^}]*\})*\{\s*(?:\.\.\.\{ )?event: '([a-z-]+)'/g,
      ),
    ].map(([, level = '', event = '']) => ({ level, event })),
  ]);
  assert.ok(calls.length > 50);
  const events: Readonly<Record<string, { readonly level: string } | undefined>> = {
    ...AGENT_EVENTS,
    ...INIT_EVENTS,
  };
  for (const { level, event } of calls)
    assert.ok(events[event]?.level.split(' or ').includes(level), `${event}: ${level}`);
});
