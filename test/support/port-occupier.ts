/**
 * Binds ports on every IPv4 address of its namespace, as another server would. Arguments: `tcp:8080`, `udp:53`, or
 * `udp:53:shared` to share the port with sockets on other addresses. Prints `taken` when all are bound. Connections are
 * held, so that a probe of init, which resets them, does not end the program.
 */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';

const ANY = '0.0.0.0';

function hold(client: Socket): void {
  client.on('error', () => client.destroy());
}

const taken = process.argv.slice(2).map((word) => {
  const [transport, port, shared] = word.split(':');
  return new Promise<void>((resolve) => {
    if (transport === 'tcp') createServer(hold).listen(Number(port), ANY, resolve);
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
