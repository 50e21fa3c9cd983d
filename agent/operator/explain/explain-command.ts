/** `nodens explain`: which questions a lookup of one pod causes, and what becomes of each. Asks no server. */
import { addressBytes, familyOf, formatAddress } from '../../base/address.ts';
import type { KnownPod, PodSources, SearchPath } from '../../base/clients/pod-sources.ts';
import { UsageError } from '../../base/errors.ts';
import { TYPE } from '../../dns/iana.ts';
import { nameFromText, nameToText } from '../../dns/name.ts';
import type { Output } from '../connection.ts';
import { clientQuery, endpointOf } from '../query-command.ts';
import { explainedQuestion, type QuestionParts } from './explained-question.ts';
import type { ExplainedLine, ExplainedQuestion, ExplainRequest } from './protocol.ts';

/** What the command needs of the process. */
export interface ExplainParts extends QuestionParts {
  readonly pods: PodSources;
  /** What the kubelet writes for a pod of this namespace unless the pod says otherwise. */
  readonly assumed: (namespace: string) => SearchPath;
}

/** What is looked up if the operator names no name: one outside the cluster, which costs most. */
const SAMPLE_NAME = 'example.com';
const DEFAULT_NAMESPACE = 'default';
const LOOPBACK = '127.0.0.1';
/** As libc asks for an address of either family. */
const TYPES = [TYPE.A, TYPE.AAAA];
const PLAIN = { dnssecOk: false, checkingDisabled: false, transport: 'udp' } as const;

/** Throws UsageError for a pod that is not known, and RangeError for a name that is none. */
export async function explainCommand(
  parts: ExplainParts,
  request: ExplainRequest,
  out: Output,
): Promise<void> {
  const { address, pod, name } = subjectOf(parts.pods, wordsOf(request));
  const search = searchOf(parts, pod, request.namespace);
  const dots = dotsOf(name);
  const endpoint = endpointOf(parts, request.listener);
  const server = parts.label(endpoint);
  const questions: ExplainedQuestion[] = [];
  let isEndKnown = false;
  let isWalkedHere = false;
  const candidates = candidatesOf(name, dots, search);
  for (const [index, candidate] of candidates.entries()) {
    const asked = TYPES.map((type) => {
      const question = { ...PLAIN, client: address, name: candidate, type };
      return explainedQuestion(parts, clientQuery(parts, question, server));
    });
    questions.push(...asked.map(({ question }) => question));
    if (index === 0 && candidates.length > 1 && dots < search.ndots)
      isWalkedHere = search.from !== 'assumed' && asked.some(({ hasAutopath }) => hasAutopath);
    isEndKnown = asked.some(({ question }) => question.verdict === 'hit');
    if (isEndKnown) break;
  }
  const client = { address, pod: pod?.name, isHostNetwork: pod?.isHostNetwork === true };
  await out.write({
    ...{ line: 'explained', client, search, name, dots, questions },
    ...{ isEndKnown, isWalkedHere },
  });
}

function wordsOf({ words }: ExplainRequest): readonly string[] {
  if (Array.isArray(words) && words.length > 0 && words.length <= 2) return words.map(String);
  throw new UsageError(
    'explain needs a pod, an address or a name, and takes a name after the first two',
  );
}

/** Who looks up what. */
function subjectOf(
  pods: PodSources,
  [first = '', second]: readonly string[],
): { readonly address: string; readonly pod: KnownPod | undefined; readonly name: string } {
  const name = second ?? SAMPLE_NAME;
  if (familyOf(first) !== undefined) {
    const address = formatAddress(addressBytes(first));
    return { address, pod: pods.at(address), name };
  }
  const pod = pods.one(first);
  if (pod !== undefined) return { address: pod.addresses[0] ?? LOOPBACK, pod, name };
  if (second !== undefined || first.includes('/'))
    throw new UsageError(
      `no pod ${first} of this node is known (autopath @node watches them): give its address`,
    );
  return { address: LOOPBACK, pod: undefined, name: first };
}

function searchOf(
  { pods, assumed }: ExplainParts,
  pod: KnownPod | undefined,
  namespace: string | undefined,
): ExplainedLine['search'] {
  if (pod !== undefined && !pod.isHostNetwork) {
    // It expands no name: every name is asked as it is.
    const { domains, ndots } = pod.search ?? { domains: [], ndots: 1 };
    return { domains, ndots, from: 'pod' };
  }
  const { everyone } = pods;
  if (everyone !== undefined) return { ...everyone, from: 'file' };
  return { ...assumed(namespace ?? DEFAULT_NAMESPACE), from: 'assumed' };
}

/** As libc counts them: a dot at the end makes a whole name. */
function dotsOf(name: string): number {
  return name.split('.').length - 1;
}

/** The names that a client asks for, in order (resolv.conf(5)). Those that would be too long are left out. */
function candidatesOf(name: string, dots: number, { domains, ndots }: SearchPath): string[] {
  const whole = nameToText(nameFromText(name));
  if (name.endsWith('.')) return [whole];
  const expanded = domains.flatMap((domain) => {
    try {
      return [nameToText(nameFromText(`${name}.${domain}`))];
    } catch {
      return [];
    }
  });
  return dots >= ndots ? [whole, ...expanded] : [...expanded, whole];
}
