/** Asks init, on its control socket, in which state interception is. Says nothing there, as an agent that has just begun. */
import { connect } from 'node:net';
import { controlDecoder, type InitMessage } from '../../../agent/base/control.ts';
import type { InitView } from '../facts.ts';

/** Rejects with the reason if init does not answer at `path`. */
export type ReadInit = (path: string) => Promise<InitView>;

const TIMEOUT_MS = 2_000;

/** With a bound of 2 s. */
export const readInit: ReadInit = (path) =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    const finish = (end: () => void): void => {
      socket.destroy();
      end();
    };
    const fail = (reason: string): void => finish(() => reject(new Error(`${path}: ${reason}`)));
    const onData = controlDecoder<InitMessage>(
      (message) => {
        if (message.type !== 'status') return;
        const { state, hang } = message;
        finish(() => resolve({ state, untilTrustedMs: hang?.untilTrustedMs }));
      },
      () => fail('what answers there is no init of nodens'),
    );
    const late = AbortSignal.timeout(TIMEOUT_MS);
    late.addEventListener('abort', () => fail('init does not answer'));
    socket.setEncoding('utf8').on('data', onData);
    socket.on('end', () => fail('init has ended the connection'));
    socket.on('error', ({ message }) => fail(message));
  });
