/** As `Neighbour`, over TCP: each question on a new connection, as a stub resolver asks after TC. */
import { FrameReader, frame } from '../../../../agent/dns/frame.ts';
import { queryWire } from '../../server/fixture.ts';
import { RawClient } from '../raw-client.ts';
import { type Answered, answeredNow, type Neighbourhood, neighbourhoodOf } from './neighbour.ts';

const NAME = 'neighbour.test';

export interface TcpNeighbourOptions {
  readonly port: number;
  /** Any of 127.0.0.0/8. */
  readonly localAddress: string;
  /** A later answer counts as lost. */
  readonly inTimeMs: number;
}

export class TcpNeighbour {
  readonly #options: TcpNeighbourOptions;
  readonly #answers: Answered[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #asked = 0;
  #asking: NodeJS.Timeout | undefined;

  constructor(options: TcpNeighbourOptions) {
    this.#options = options;
  }

  /** Asks every `everyMs` from now on. */
  start(everyMs: number): void {
    this.#asking = setInterval(() => {
      const asked = this.#ask().finally(() => this.#underWay.delete(asked));
      this.#underWay.add(asked);
    }, everyMs).unref();
  }

  /** Waits for pending answers. */
  async close(): Promise<Neighbourhood> {
    clearInterval(this.#asking);
    await Promise.all(this.#underWay);
    return neighbourhoodOf(this.#asked, this.#answers);
  }

  async #ask(): Promise<void> {
    const id = this.#asked++ & 0xffff;
    const startMs = performance.now();
    try {
      const client = await RawClient.open(this.#options);
      const answered = client.readUntil((text) => isGood(text, id), this.#options.inTimeMs);
      client.sendBytes(frame(queryWire(NAME, id)));
      if (await answered) this.#answers.push(answeredNow(startMs));
      client.close();
    } catch {
      // Refused or reset while connecting: there is no answer.
    }
  }
}

/** Whether `text`, a character for each byte, is one whole answer to the question `id`. */
function isGood(text: string, id: number): boolean {
  const frames = new FrameReader();
  frames.feed(Buffer.from(text, 'latin1'));
  const answer = frames.next();
  if (answer === undefined || answer.readUInt16BE(0) !== id) return false;
  return ((answer[3] as number) & 0x0f) === 0 && answer.readUInt16BE(6) === 1;
}
