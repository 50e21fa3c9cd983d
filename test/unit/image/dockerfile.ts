/** A Dockerfile as stages of instructions, for the tests: continuation lines, comments and exec form, nothing more. */

export interface Instruction {
  readonly word: string;
  readonly args: string;
}

export interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

export interface Copy {
  /** Stage that the sources come from, undefined for the build context. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

/** Throws where the text has instructions other than ARG before the first FROM, whose values the names of bases take. */
export function parseDockerfile(text: string): Stage[] {
  const values = new Map<string, string>();
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
  for (const line of lines.join('\n').replace(/\\\n/g, ' ').split('\n')) {
    const match = /^([A-Z]+)\s+(.*?)\s*$/.exec(line);
    if (match === null) continue;
    const [, word = '', args = ''] = match;
    if (word === 'FROM') {
      const [base = '', , name] = args.split(/\s+/);
      const defaultOf = (_: string, arg: string): string => values.get(arg) ?? '';
      stages.push({ base: base.replace(/\$\{(\w+)\}/g, defaultOf), name, instructions: [] });
    } else if (word === 'ARG' && stages.length === 0) {
      const [arg = '', value = ''] = args.split('=');
      values.set(arg, value);
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`${word} before the first FROM`);
      stage.instructions.push({ word, args: args.replace(/\s+/g, ' ') });
    }
  }
  return stages;
}

/** Arguments of every `word` in a stage. */
export function argsOf(stage: Stage, word: string): string[] {
  return stage.instructions.filter((i) => i.word === word).map((i) => i.args);
}

export function copiesOf(stage: Stage): Copy[] {
  return argsOf(stage, 'COPY').map((args) => {
    const words = args.split(' ');
    const from = words[0]?.startsWith('--from=')
      ? words.shift()?.slice('--from='.length)
      : undefined;
    return { from, target: words.pop() ?? '', sources: words };
  });
}

/** Debian packages that a stage installs. */
export function packagesOf(stage: Stage): string[] {
  return argsOf(stage, 'RUN').flatMap((args) => {
    const list = /apt-get install ([^&]*)/.exec(args)?.[1] ?? '';
    return list.split(' ').filter((word) => word !== '' && !word.startsWith('-'));
  });
}
