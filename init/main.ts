/** Entry of init. The rest is loaded only on a Node that can run it. */

const OLDEST_NODE = 24;

async function run(argv: readonly string[]): Promise<void> {
  const { main, doctor } = await import('./program.ts');
  if (argv[0] === 'doctor') process.exitCode = await doctor(argv.slice(1));
  // A child that waits for another program's lock would keep the event loop alive.
  else process.exit(await main(argv));
}

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(
    `nodens init: Node.js ${OLDEST_NODE} or newer is needed, this is ${process.version}\n`,
  );
  process.exitCode = 2;
} else {
  void run(process.argv.slice(2));
}
