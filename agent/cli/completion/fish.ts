/** Completion for fish. */
import { type CommandWords, commandWords, type FlagWords, flagWords } from './words.ts';

/** The script; `nodens completion fish | source`. */
export function fishScript(): string {
  const commands = commandWords();
  return [
    '# fish completion of nodens: nodens completion fish | source',
    'complete -c nodens -f',
    ...commands.map(
      ({ command, summary }) =>
        `complete -c nodens -n __fish_use_subcommand -a ${command} -d ${quoted(summary)}`,
    ),
    ...flagWords('drop-in').map((flag) => flagLine('__fish_use_subcommand', flag)),
    ...commands.flatMap(linesOf),
    '',
  ].join('\n');
}

function linesOf({ command, actions, takesFiles, flags }: CommandWords): string[] {
  const condition = quoted(`__fish_seen_subcommand_from ${command}`);
  const words = actions.length === 0 ? [] : [`-a ${quoted(actions.join(' '))}`];
  return [
    ...[...words, ...(takesFiles ? ['-F'] : [])].map(
      (what) => `complete -c nodens -n ${condition} ${what}`,
    ),
    ...flags.map((flag) => flagLine(condition, flag)),
  ];
}

function flagLine(condition: string, { names, help, value, isFile }: FlagWords): string {
  const spellings = names.map((name) => (name.length === 1 ? `-s ${name}` : `-o ${name}`));
  const argument = value === undefined ? '' : isFile ? ' -r -F' : ' -x';
  return `complete -c nodens -n ${condition} ${spellings.join(' ')}${argument} -d ${quoted(help)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
