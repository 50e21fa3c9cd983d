/** Sets up `forward` from a text and shows the upstream groups that it requests. */
import { readFileSync } from 'node:fs';
import { after } from 'node:test';
import { parseCorefile } from '../../../../agent/config/corefile/parser.ts';
import type { Block, Directive } from '../../../../agent/config/corefile/types.ts';
import { setup } from '../../../../agent/plugins/forward/setup.ts';
import type { UpstreamGroupOptions } from '../../../../agent/query/services/upstreams.ts';
import { memoryFiles } from '../../../support/corefiles/memory-files.ts';
import { type FakeServices, fakeServices, TEST_BLOCK } from '../../../support/services.ts';
import { Authority } from '../../../support/upstream/certificates.ts';

interface Seen {
  readonly groups: UpstreamGroupOptions[];
  readonly services: FakeServices;
}

/** Sets up and starts the forward lines of one block; returns the requested groups. */
export function forward(
  lines: string,
  files: Record<string, string> = {},
  listening: readonly string[] = [],
): Seen {
  const groups: UpstreamGroupOptions[] = [];
  const services = fakeServices({
    upstreams: {
      group: (options) => {
        groups.push(options);
        const exchange = () => Promise.reject(new Error('not here'));
        return { admits: () => true, exchange, release: () => undefined };
      },
    },
    block: {
      ...TEST_BLOCK,
      listening,
      servers: [
        { index: 0, label: 'dns://169.254.20.10:53' },
        { index: 1, label: 'dns://[fd00::10]:53' },
      ],
    },
  });
  for (const [path, text] of Object.entries(files)) services.texts.set(path, text);
  const { blocks } = parseCorefile(`. {\n${lines}\n}`, {
    file: 'Corefile',
    defaultPort: 53,
    env: {},
    files: memoryFiles({}),
  });
  const [block] = blocks as [Block];
  const [directive] = block.directives as [Directive];
  setup(directive, block, services).start?.();
  return { groups, services };
}

export const targetsOf = ({ groups }: Seen): string[] =>
  (groups[0]?.upstreams ?? []).map(({ address, port }) => `${address} ${port}`);

const authority = new Authority();
after(() => authority.remove());
const { cert, key } = authority.sign('DNS:client.example');
export const PEMS = {
  '/ca.pem': authority.pem,
  '/cert.pem': readFileSync(cert, 'utf8'),
  '/key.pem': readFileSync(key, 'utf8'),
  '/other.pem': readFileSync(authority.sign('DNS:x').key, 'utf8'),
  '/text': 'no PEM at all',
};
