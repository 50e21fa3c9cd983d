/** Records of a template as another implementation reads them: the output of dig has the same meaning. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { recordFromText } from '../../agent/dns/text/record.ts';
import { RECORD_TEXTS, type RecordText } from '../support/dns/record-texts.ts';
import { endProcess } from '../support/end-process.ts';
import { freePort } from '../support/free-port.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../dist/agent/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'nodens-records-'));
let port = 0;
let agent: ChildProcess;

/** An NSEC3 record's owner is a hash: dig refuses other names. */
const ownerOf = (index: number): string =>
  `${RECORD_TEXTS[index]?.type === 'NSEC3' ? '2t7b4g4vsa5smi47k61mv5bv1a22bojr.' : ''}r${index}.x.test.`;

function templateOf({ type, data }: RecordText, index: number): string {
  const text = `${ownerOf(index)} 60 IN ${type} ${data}`.replaceAll('"', '\\"');
  return `template IN ${type} ${ownerOf(index)} {\nanswer "${text}"\n}`;
}

before(async () => {
  port = await freePort();
  const templates = RECORD_TEXTS.map(templateOf).join('\n');
  const conf = join(folder, 'Corefile');
  writeFileSync(conf, `.:${port} {\nbind 127.0.0.1\nerrors\n${templates}\n}\n`);
  agent = spawn(process.execPath, [MAIN, 'agent', '-conf', conf, '-basecorefile='], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const served = Promise.withResolvers<void>();
  createInterface({ input: agent.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line);
    if (line.includes('"serving"')) served.resolve();
  });
  agent.once('exit', () => served.reject(new Error(lines.join('\n'))));
  await served.promise;
});

after(async () => {
  await endProcess(agent);
  rmSync(folder, { recursive: true });
});

/** The data of the only answer, as dig prints it. */
async function dig(index: number, type: string): Promise<string> {
  const at = ['@127.0.0.1', '-p', String(port), '+noall', '+answer', '+nosplit', '+time=5'];
  const { stdout } = await run('dig', [...at, ownerOf(index), type]);
  const [line, ...others] = stdout.split('\n').filter((text) => text.startsWith(ownerOf(index)));
  assert.ok(line !== undefined && others.length === 0, stdout);
  return line.replace(/^\S+\s+60\s+IN\s+\S+\s+/, '');
}

describe('dig reads a template of each type', () => {
  RECORD_TEXTS.forEach((record, index) => {
    const { type, data } = record;
    it(`${type} ${data.slice(0, 50)}`, async () => {
      const printed = await dig(index, type);
      const again = recordFromText(`a ${type} ${printed}`);
      const ours = recordFromText(`a ${type} ${data}`);
      assert.equal(
        Buffer.from(again.rdata).toString('hex'),
        Buffer.from(ours.rdata).toString('hex'),
      );
      const plain = (text: string): string => text.replace(/\s+/g, ' ').trim();
      assert.equal(plain(printed), plain(record.dig ?? data));
    });
  });
});
