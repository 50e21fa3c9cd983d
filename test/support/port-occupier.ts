/**
 * Takes ports on every IPv4 address of its namespace, as a foreign server would. Arguments: `tcp:8080`, `udp:53`, or
 * `udp:53:shared` for one that lets others have the port on an address of theirs. Prints `taken` when it has them all.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const ANY = '0.0.0.0';

const taken = process.argv.slice(2).map((word) => {
  const [transport, port, shared] = word.split(':');
  return new Promise<void>((resolve) => {
    if (transport === 'tcp') createServer().listen(Number(port), ANY, resolve);
    else
      createSocket({ type: 'udp4', reuseAddr: shared !== undefined }).bind(
        Number(port),
        ANY,
        resolve,
      );
  });
});
await Promise.all(taken);
process.stdout.write('taken\n');
