/**
 * Many clients in one process (`Helper`): each has an address and a search list, and looks names up as glibc does, A and
 * AAAA at once. Addresses may get another list at any time.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { decode, encode } from 'dns-packet';

/** What the pod at an address has in its resolv.conf. */
export interface SearchingPod {
  readonly address: string;
  readonly search: readonly string[];
  readonly ndots: number;
}

export type SearchingJob =
  /** Has no reply. */
  | { readonly do: 'pods'; readonly pods: readonly SearchingPod[] }
  /** Every pod looks up every name, all pods at once. The reply: `Looked`. */
  | { readonly do: 'gang'; readonly server: string; readonly names: readonly string[] }
  /** Each name once, by the pods in turn, `atOnce` at a time. The reply: `Looked`. */
  | {
      readonly do: 'each';
      readonly server: string;
      readonly names: readonly string[];
      readonly atOnce: number;
    }
  /** `count` lookups of pods and names at random, at both servers, `everyMs` one. The reply: `Compared`. */
  | {
      readonly do: 'compare';
      readonly servers: readonly [string, string];
      readonly names: readonly string[];
      readonly count: number;
      readonly everyMs: number;
    };

export interface Looked {
  readonly lookups: number;
  readonly found: number;
  /** Queries, repeated ones not counted. */
  readonly queries: number;
}

export interface Compared {
  readonly lookups: number;
  readonly found: number;
  /** Lookups that ended differently at the two servers, described. */
  readonly different: readonly string[];
}

const TRIES = 4;
const WAIT_MS = 2_500;

const pods = new Map<string, SearchingPod>();
let queries = 0;

/** The socket of one address. */
class Client {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (reply: Buffer) => void>();
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (message) => this.#waiting.get(message.readUInt16BE(0))?.(message));
    socket.on('error', () => undefined);
  }

  static async at(address: string): Promise<Client> {
    const socket = createSocket('udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    return new Client(socket);
  }

  /** Addresses in the reply; a lost datagram is sent again. */
  async ask(server: string, name: string, type: 'A' | 'AAAA'): Promise<string[]> {
    queries++;
    this.#lastId = (this.#lastId + 1) & 0xffff;
    const id = this.#lastId;
    const query = encode({ type: 'query', id, flags: 0x100, questions: [{ type, name }] });
    const reply = new Promise<Buffer>((resolve) => this.#waiting.set(id, resolve));
    try {
      for (let n = 0; n < TRIES; n++) {
        this.#socket.send(query, 53, server);
        const abort = new AbortController();
        const late = delay(WAIT_MS, undefined, { signal: abort.signal }).catch(() => undefined);
        const message = await Promise.race([reply, late]);
        abort.abort();
        if (message !== undefined) return addressesOf(message);
      }
    } finally {
      this.#waiting.delete(id);
    }
    return ['no reply'];
  }
}

function addressesOf(message: Buffer): string[] {
  return (decode(message).answers ?? []).flatMap((record) =>
    record.type === 'A' || record.type === 'AAAA' ? [record.data] : [],
  );
}

const clients = new Map<string, Promise<Client>>();

function clientOf(address: string): Promise<Client> {
  const known = clients.get(address) ?? Client.at(address);
  clients.set(address, known);
  return known;
}

async function lookUp(pod: SearchingPod, server: string, base: string): Promise<string[]> {
  const client = await clientOf(pod.address);
  const dots = base.split('.').length - 1;
  const expanded = pod.search.map((domain) => `${base}.${domain}`);
  for (const name of dots >= pod.ndots ? [base, ...expanded] : [...expanded, base]) {
    const both = await Promise.all([
      client.ask(server, name, 'A'),
      client.ask(server, name, 'AAAA'),
    ]);
    const found = both.flat().sort();
    if (found.length > 0) return found;
  }
  return [];
}

async function gang(server: string, names: readonly string[]): Promise<Looked> {
  const before = queries;
  const found = await Promise.all(
    [...pods.values()].map(async (pod) => {
      let some = 0;
      for (const name of names) some += Number((await lookUp(pod, server, name)).length > 0);
      return some;
    }),
  );
  return {
    lookups: found.length * names.length,
    found: found.reduce((sum, one) => sum + one, 0),
    queries: queries - before,
  };
}

async function each(server: string, names: readonly string[], atOnce: number): Promise<Looked> {
  const before = queries;
  const all = [...pods.values()];
  let next = 0;
  let found = 0;
  const worker = async (): Promise<void> => {
    while (next < names.length) {
      const at = next++;
      const pod = all[at % all.length] as SearchingPod;
      const addresses = await lookUp(pod, server, names[at] as string);
      found += Number(addresses.length > 0);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return { lookups: names.length, found, queries: queries - before };
}

async function compare(job: Extract<SearchingJob, { do: 'compare' }>): Promise<Compared> {
  const different: string[] = [];
  let found = 0;
  const running: Promise<void>[] = [];
  const one = async (): Promise<void> => {
    const all = [...pods.values()];
    const pod = all[Math.floor(Math.random() * all.length)] as SearchingPod;
    const name = job.names[Math.floor(Math.random() * job.names.length)] as string;
    const [plain, other] = await Promise.all(job.servers.map((at) => lookUp(pod, at, name)));
    found += Number((plain ?? []).length > 0);
    if (String(plain) !== String(other))
      different.push(`${name} of ${pod.address} (${pod.search[0]}): ${plain} or ${other}`);
  };
  for (let n = 0; n < job.count; n++) {
    running.push(one());
    await delay(job.everyMs);
  }
  await Promise.all(running);
  return { lookups: job.count, found, different };
}

process.on('message', (job: SearchingJob) => {
  const reply = (result: object): void => void process.send?.(result);
  if (job.do === 'pods') for (const pod of job.pods) pods.set(pod.address, pod);
  else if (job.do === 'gang') void gang(job.server, job.names).then(reply);
  else if (job.do === 'each') void each(job.server, job.names, job.atOnce).then(reply);
  else void compare(job).then(reply);
});
process.on('disconnect', () => process.exit());
