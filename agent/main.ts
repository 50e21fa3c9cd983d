#!/usr/bin/env node
/** Process edge. Loads nothing before it knows that this Node can run the rest. */

const OLDEST_NODE = 24;

async function run(argv: readonly string[]): Promise<void> {
  const { reexecWithHeapFlags } = await import('./cli/heap.ts');
  reexecWithHeapFlags(argv);
  const { main } = await import('./cli/main.ts');
  process.exit(await main(argv));
}

if (Number(process.versions.node.split('.', 1)[0]) < OLDEST_NODE) {
  process.stderr.write(
    `nodens: Node ${process.versions.node} is too old, it needs Node ${OLDEST_NODE} or newer\n`,
  );
  process.exitCode = 2;
} else {
  void run(process.argv.slice(2));
}
