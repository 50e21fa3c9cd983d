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
    // Not by itself: a program that waits for somebody's lock would keep us.
    process.exit(await main(process.argv.slice(2)));
  }
}
