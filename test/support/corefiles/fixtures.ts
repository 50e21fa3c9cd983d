/** Corefiles in the shapes that distributions and cloud recipes give them, as files beside this one. */
import { fileURLToPath } from 'node:url';
import { systemFiles } from '../../../agent/config/files.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));

export interface CorefileFixture {
  readonly name: string;
  /** Absolute, so that relative imports work. */
  readonly file: string;
  readonly text: string;
}

/** Every fixture: the `.corefile`s, and `Corefile` of each directory with imports. */
export function corefileFixtures(): CorefileFixture[] {
  return systemFiles
    .list(HERE)
    .sort()
    .flatMap((name) => {
      const directory = systemFiles.kind(`${HERE}${name}`) === 'directory';
      if (!directory && !name.endsWith('.corefile')) return [];
      const file = directory ? `${HERE}${name}/Corefile` : `${HERE}${name}`;
      return [{ name: name.replace('.corefile', ''), file, text: systemFiles.read(file) }];
    });
}

/** The fixture called `name`. */
export function corefileFixture(name: string): CorefileFixture {
  const found = corefileFixtures().find((fixture) => fixture.name === name);
  if (found === undefined) throw new Error(`no Corefile fixture ${name}`);
  return found;
}
