/** `nodens status -all`: every node of the cluster, worst first. Needs to list pods, and nothing more. */
import { keepAlive, sleep, systemClock } from '../../base/clock.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import type { FlagValues } from '../../base/flags/parse.ts';
import { duration } from '../../base/text/amounts.ts';
import { parseDurationMs } from '../../base/text/duration.ts';
import { ApiError } from '../../kubernetes/errors.ts';
import { print, printJson, table } from '../commands/print.ts';
import { listed, type ReadApi } from './api.ts';
import {
  isComplete,
  type PodRow,
  podRow,
  type Rollout,
  rolloutOf,
  servedNodes,
  worstFirst,
} from './pods.ts';

/** What is looked at, and for how long. */
export interface StatusAllOptions {
  readonly namespace: string;
  readonly selector: string;
  /** 0: looks once. */
  readonly waitMs: number;
  readonly isJson: boolean;
}

const NAMESPACE = 'kube-system';
const SELECTOR = 'k8s-app=nodens';
const WAIT = '5m';
const LOOK_MS = 2_000;
/** The API server cannot be read: the same as an agent that does not answer. */
const UNREACHABLE = 3;

/** Throws UsageError. */
export function statusAllOptions(values: FlagValues, isJson: boolean): StatusAllOptions {
  const waitMs = parseDurationMs(values['wait-duration'] ?? WAIT);
  if (waitMs === undefined || waitMs <= 0)
    throw new UsageError(`flag -wait-duration: "${values['wait-duration']}" is no time such as 5m`);
  return {
    namespace: values.namespace ?? NAMESPACE,
    selector: values.selector ?? SELECTOR,
    waitMs: values.wait === 'true' ? waitMs : 0,
    isJson,
  };
}

interface Picture {
  readonly rows: readonly PodRow[];
  /** Undefined where the user may not see DaemonSets. */
  readonly rollouts: readonly Rollout[] | undefined;
}

/** Resolves to the exit code: 0 every node is served and up to date, 1 not, 3 the API server cannot be read. */
export async function statusAll(api: ReadApi, options: StatusAllOptions): Promise<number> {
  const endMs = systemClock.nowMs() + options.waitMs;
  // Between two looks nothing else keeps the process.
  const alive = keepAlive();
  try {
    for (;;) {
      const picture = await looked(api, options);
      const isDone = !(picture instanceof ApiError) && isDoneIn(picture);
      if (isDone || systemClock.nowMs() + LOOK_MS > endMs) return await shown(picture, options);
      await sleep(systemClock, LOOK_MS);
    }
  } finally {
    alive.cancel();
  }
}

function isDoneIn({ rows, rollouts = [] }: Picture): boolean {
  return isComplete(rows, rollouts);
}

async function looked(
  api: ReadApi,
  { namespace, selector }: StatusAllOptions,
): Promise<Picture | ApiError> {
  const scope = `namespaces/${encodeURIComponent(namespace)}`;
  try {
    const pods = await listed(api, `/api/v1/${scope}/pods`, selector);
    const rows = worstFirst(pods.map(podRow));
    return { rows, rollouts: await rolloutsOf(api, `/apis/apps/v1/${scope}/daemonsets`, selector) };
  } catch (error) {
    return error instanceof ApiError ? error : new ApiError(messageOf(error));
  }
}

/** A user who may not see DaemonSets gets the rest. */
async function rolloutsOf(
  api: ReadApi,
  path: string,
  selector: string,
): Promise<readonly Rollout[] | undefined> {
  try {
    return (await listed(api, path, selector)).map(rolloutOf);
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return undefined;
    throw error;
  }
}

async function shown(picture: Picture | ApiError, options: StatusAllOptions): Promise<number> {
  if (picture instanceof ApiError) {
    process.stderr.write(`nodens status: the API server cannot be read: ${picture.message}\n`);
    return UNREACHABLE;
  }
  const { rows, rollouts } = picture;
  const isReady = isDoneIn(picture);
  await (options.isJson
    ? printJson({ isReady, rollouts, pods: rows })
    : print(allText(picture, options, systemClock.wallMs())));
  return isReady ? 0 : 1;
}

/** The screen; `nowMs` is milliseconds since 1970. */
export function allText(
  { rows, rollouts }: Picture,
  { namespace, selector }: StatusAllOptions,
  nowMs: number,
): string {
  if (rows.length === 0) return `no pods with ${selector} in namespace ${namespace}\n`;
  const nodes = new Set(rows.map(({ node }) => node)).size;
  const images = new Set(rows.map(({ image }) => image)).size;
  const mixed = images > 1 ? `; ${images} different images` : '';
  const sets = rollouts?.map(
    ({ name, wanted, updated }) => `; DaemonSet ${name}: ${wanted} wanted, ${updated} updated`,
  ) ?? ['; DaemonSets are not visible to this user'];
  const head = `${servedNodes(rows).size} of ${nodes} nodes are ready${mixed}${sets.join('')}`;
  const cells = rows.map(({ node, pod, state, restarts, lastEnd, startedAt, image }) => [
    node,
    pod,
    state,
    lastEnd === undefined
      ? String(restarts)
      : `${restarts} (${lastEnd.reason} ${age(lastEnd.at, nowMs)} ago)`,
    age(startedAt, nowMs),
    image.replace(/^.*\//, ''),
  ]);
  return `${head}\n\n${table(['NODE', 'POD', 'STATE', 'RESTARTS', '>AGE', 'IMAGE'], cells)}`;
}

function age(time: string, nowMs: number): string {
  const sinceMs = nowMs - Date.parse(time);
  return Number.isNaN(sinceMs) ? '-' : duration(Math.max(0, sinceMs / 1_000));
}
