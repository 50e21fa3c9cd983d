/** The built programs, in a place where an unprivileged user can run them. */
import { chmodSync, copyFileSync, cpSync, existsSync } from 'node:fs';
import { run } from './run.ts';

/** uid and gid of the agent, as in the image. */
export const AGENT_ID = '65532';

export interface Programs {
  readonly node: string;
  /** The entrypoint; `agent` and `init` are its subcommands. */
  readonly nodens: string;
}

const DIST = new URL('../../../../dist/', import.meta.url).pathname;

/**
 * Node and `dist/` where they are if the agent's user can read them; else copies in `runDir`: a checkout under a
 * private home directory is closed to other users.
 */
export async function programs(runDir: string): Promise<Programs> {
  if (!existsSync(`${DIST}agent/main.js`)) throw new Error('dist/ is missing: npm run build');
  const inPlace = at(process.execPath, DIST);
  if (await usableByAgent(inPlace)) return inPlace;
  cpSync(DIST, `${runDir}/dist`, { recursive: true });
  // Marks these as ES modules.
  copyFileSync(`${DIST}../package.json`, `${runDir}/package.json`);
  copyFileSync(process.execPath, `${runDir}/node`);
  chmodSync(`${runDir}/node`, 0o755);
  const copies = at(`${runDir}/node`, `${runDir}/dist/`);
  if (!(await usableByAgent(copies)))
    throw new Error(`uid ${AGENT_ID} cannot run ${copies.nodens}`);
  return copies;
}

function at(node: string, dist: string): Programs {
  return { node, nodens: `${dist}agent/main.js` };
}

async function usableByAgent({ node, nodens }: Programs): Promise<boolean> {
  const asAgent = ['setpriv', '--reuid', AGENT_ID, '--regid', AGENT_ID, '--clear-groups'];
  return (await run([...asAgent, node, '--check', nodens])).code === 0;
}
