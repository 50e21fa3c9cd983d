/** `nodens support`: one archive for a bug report. */
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { gzipSync } from 'node:zlib';
import { systemClock } from '../../base/clock.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import { type Arguments, maxWords, runCommand } from '../commands/arguments.ts';
import { firstProcess, isInitAlone } from '../running-agent.ts';
import { doctorFiles } from './doctor-parts.ts';
import { type Part, partsBeside, type Sources } from './parts.ts';
import { redacted } from './redact.ts';
import { type TarFile, tarOf } from './tar.ts';

const ELSEWHERE =
  "nodens support: status, cache, log and configuration are in the archive of the agent's container\n";
const DEFAULT_METRICS = '127.0.0.1:9253';

/** Resolves to the exit code (see the help text). Throws UsageError. */
export function supportCommand(argv: readonly string[]): Promise<number> {
  return runCommand(argv, 'support', support);
}

async function support({ words, values, paths }: Arguments): Promise<number> {
  maxWords(words, 0);
  const { output, metrics = DEFAULT_METRICS } = values;
  if (output === undefined && process.stdout.isTTY)
    throw new UsageError(
      'the archive is no text for a terminal: redirect it, or give -output FILE',
    );
  const { env } = process;
  const nowMs = systemClock.wallMs();
  const time = new Date(nowMs).toISOString();
  const beside = firstProcess();
  const parts = partsBeside(beside);
  const { files, errors } = await collected(parts, { sockets: paths, metrics, env, time });
  const missing = errors.length === 0 ? [] : [{ path: 'errors.txt', text: errors.join('') }];
  const folder = `nodens-support-${hostname().slice(0, 40)}-${time.replace(/[-:]|\.\d+/g, '')}`;
  const safe = [...files, ...missing].map(({ path, text }) => ({
    path: `${folder}/${path}`,
    text: redacted(text, env),
  }));
  const archive = gzipSync(tarOf(safe, nowMs));
  if (output === undefined) await writeAll(archive);
  else save(output, archive);
  if (isInitAlone(beside)) process.stderr.write(ELSEWHERE);
  for (const error of errors) process.stderr.write(`nodens support: missing: ${error}`);
  return errors.length === 0 ? 0 : 1;
}

async function collected(
  parts: readonly Part[],
  sources: Sources,
): Promise<{ readonly files: readonly TarFile[]; readonly errors: readonly string[] }> {
  const files: TarFile[] = [];
  const errors: string[] = [];
  for (const { path, text } of parts) {
    try {
      const content = await text(sources);
      if (path === 'doctor.json') files.push(...doctorFiles(content));
      else files.push({ path, text: content });
    } catch (error) {
      errors.push(`${path}: ${messageOf(error)}\n`);
    }
  }
  return { files, errors };
}

/** Only its owner may read it. */
function save(path: string, archive: Buffer): void {
  try {
    writeFileSync(path, archive, { mode: 0o600 });
  } catch (error) {
    throw new UsageError(`flag -output: ${messageOf(error)}`);
  }
}

/** The process ends right after: what a stream holds would be lost. */
function writeAll(archive: Buffer): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(archive, () => resolve());
  });
}
