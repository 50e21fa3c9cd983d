import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { flagHelp } from '../../../../agent/base/flags/help.ts';
import { defaultOf, flagsOf } from '../../../../agent/base/flags/table.ts';
import type { CommandName } from '../../../../agent/base/flags/types.ts';

const COMMANDS: readonly CommandName[] = ['agent', 'init', 'drop-in', 'check', 'doctor'];

describe('the table of flags', () => {
  for (const command of COMMANDS) {
    it(`${command}: no spelling names two flags`, () => {
      const spellings = flagsOf(command).flatMap(({ name, aliases = [] }) => [name, ...aliases]);
      assert.ok(spellings.length > 0);
      assert.deepEqual(spellings, [...new Set(spellings)]);
    });

    it(`${command}: its help names each flag, in lines that fit a terminal`, () => {
      const lines = flagHelp(command).split('\n');
      for (const { name } of flagsOf(command))
        assert.ok(
          lines.some((line) => line.startsWith(`  -${name}`)),
          name,
        );
      assert.deepEqual(
        lines.filter((line) => line.length > 110),
        [],
      );
    });
  }

  it('a drop-in accepts the flags of agent and init, but no mode of init', () => {
    const names = new Set(flagsOf('drop-in').map((flag) => flag.name));
    const halves = [...flagsOf('agent'), ...flagsOf('init')].map((flag) => flag.name);
    const missing = halves.filter((name) => !names.has(name));
    assert.deepEqual(missing, ['once', 'cleanup', 'observe', 'supervise']);
  });

  it('a default may differ between two commands', () => {
    assert.equal(defaultOf('agent', 'metrics-listen-address'), undefined);
    assert.equal(defaultOf('drop-in', 'metrics-listen-address'), '0.0.0.0:9353');
  });
});
