#!/usr/bin/env node
/** Process edge of `kubectl nodens`: kubectl finds the plugin by the name of its program. */

const OLDEST_NODE = 24;

async function run(argv: readonly string[]): Promise<void> {
  const { pluginMain } = await import('./cli/cluster/kubectl-nodens.ts');
  process.exit(await pluginMain(argv));
}

if (Number(process.versions.node.split('.', 1)[0]) < OLDEST_NODE) {
  process.stderr.write(
    `kubectl nodens: Node ${process.versions.node} is too old, it needs Node ${OLDEST_NODE} or newer\n`,
  );
  process.exitCode = 2;
} else {
  void run(process.argv.slice(2));
}
