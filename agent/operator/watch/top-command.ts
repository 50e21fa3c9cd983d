/** `nodens top`: a picture every few seconds, of a sample of the queries. Its tables live as long as the command. */
import type { PodSources } from '../../base/clients/pod-sources.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Output } from '../connection.ts';
import type { LoggedEvent, TopRequest } from '../protocol.ts';
import type { Status } from '../status.ts';
import { QuerySample } from './query-sample.ts';
import type { QueryWatch } from './query-watch.ts';

/** What the command needs of the process. */
export interface TopParts {
  readonly clock: Clock;
  readonly queries: QueryWatch;
  readonly status: Status;
  readonly pods: Pick<PodSources, 'at'>;
  /** The last lines of the log, oldest first. */
  readonly recentLines: () => readonly string[];
}

const MIN_INTERVAL_MS = 200;
const MAX_INTERVAL_MS = 60_000;
/** Lines of the log in one picture. */
const EVENTS = 5;

/** Sends a picture every `intervalMs`, until the command ends. */
export async function topCommand(
  { clock, queries, status, pods, recentLines }: TopParts,
  { intervalMs }: TopRequest,
  out: Output,
): Promise<void> {
  const bounded = Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, Number(intervalMs) || 0));
  const sample = new QuerySample();
  const stop = queries.add(sample);
  let isGone = false;
  // A race with the departure in each turn would leave something behind in its promise each time.
  let wake = (): void => undefined;
  void out.departed.then(() => {
    isGone = true;
    wake();
  });
  let sinceMs = clock.nowMs();
  while (!isGone) {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      timer = clock.after(bounded, resolve);
    });
    timer?.cancel();
    const elapsedMs = clock.nowMs() - sinceMs;
    sinceMs = clock.nowMs();
    // A picture that is not read is dropped: the next one is newer.
    if (isGone) break;
    const { clients, ...taken } = sample.take(elapsedMs);
    const named = clients.map((client) => ({ ...client, pod: pods.at(client.key)?.name }));
    const events = recentLines().slice(-EVENTS).flatMap(loggedEvent);
    const line = await status.line();
    out.offer({
      ...{ line: 'top', status: line, elapsedMs, ...taken },
      ...{ clients: named, events },
    });
  }
  stop();
}

/** Empty for what is no JSON object: a line that was cut. */
function loggedEvent(line: string): readonly LoggedEvent[] {
  try {
    const { time, level, event, msg } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const name = event === undefined ? undefined : String(event);
    return [{ time: String(time), level: String(level), event: name, message: String(msg) }];
  } catch {
    return [];
  }
}
