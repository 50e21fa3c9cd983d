/** Entry of init. The rest is loaded only on a Node that can run it. */

const OLDEST_NODE = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
  process.stderr.write(
    `nodens init: Node.js ${OLDEST_NODE} or newer is needed, this is ${process.version}\n`,
  );
  process.exitCode = 2;
} else {
  const [first, ...rest] = process.argv.slice(2);
  if (first === 'doctor') {
    const { doctor } = await import('./doctor/main.ts');
    process.exitCode = await doctor(rest);
  } else {
    const { main } = await import('./commands.ts');
    // A child that waits for another program's lock would keep the event loop alive.
    process.exit(await main(process.argv.slice(2)));
  }
}
