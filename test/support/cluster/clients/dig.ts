/** Questions asked with dig and kdig, and their parsed output. */
import type { Netns } from '../netns.ts';
import { timed } from '../process/wait.ts';

export interface Answered {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  readonly data: string;
}

export interface DigResult {
  /** `NOERROR`, `NXDOMAIN`…; `TIMEOUT` where no response arrived. */
  readonly status: string;
  readonly flags: readonly string[];
  readonly answers: readonly Answered[];
  readonly authority: readonly Answered[];
  /** Extended DNS errors (RFC 8914), such as `3 (Stale Answer)`. */
  readonly extendedErrors: readonly string[];
  readonly elapsedMs: number;
}

export interface Question {
  readonly server: string;
  readonly name: string;
  readonly type?: string;
  readonly tcp?: boolean;
  readonly program?: 'dig' | 'kdig';
  readonly timeoutSeconds?: number;
  /** More of dig's own options, such as `+ignore`. */
  readonly options?: readonly string[];
}

/** Asks once, without a retry. */
export async function dig(from: Netns, question: Question): Promise<DigResult> {
  const program = question.program ?? 'dig';
  const argv = [
    program,
    `@${question.server}`,
    question.name,
    question.type ?? 'A',
    program === 'dig' ? '+tries=1' : '+retry=0',
    `+time=${question.timeoutSeconds ?? 5}`,
    ...(question.tcp === true ? ['+tcp'] : []),
    ...(question.options ?? []),
  ];
  const [ran, elapsedMs] = await timed(() => from.run(argv));
  return { ...parse(ran.stdout), elapsedMs };
}

function parse(text: string): Omit<DigResult, 'elapsedMs'> {
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? 'TIMEOUT',
    flags: (/^;; [Ff]lags: ([a-z ]*);/m.exec(text)?.[1] ?? '').split(' ').filter(Boolean),
    answers: section(text, 'ANSWER'),
    authority: section(text, 'AUTHORITY'),
    extendedErrors: [...text.matchAll(/^;+ (?:EDE|INFO-CODE): (.*)$/gm)].map(
      (match) => match[1] as string,
    ),
  };
}

function section(text: string, title: string): Answered[] {
  const body = new RegExp(`^;; ${title} SECTION:\n((?:[^;\n].*\n?)*)`, 'm').exec(text)?.[1] ?? '';
  return body
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name = '', ttl = '', , type = '', ...data] = line.split(/\s+/);
      return { name, ttl: Number(ttl), type, data: data.join(' ') };
    });
}

/** The answers' data in a stable order. */
export function dataOf(result: DigResult): string[] {
  return result.answers.map((answer) => answer.data).sort();
}
