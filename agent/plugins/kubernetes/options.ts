/** The words of the directive. */
import { ConfigError, messageOf } from '../../base/errors.ts';
import { type ApiAccess, apiAccessReader } from '../../config/corefile/api-access.ts';
import {
  badValue,
  choiceArg,
  durationArg,
  intArg,
  minArgs,
  noArgs,
  type Options,
  oneArg,
  readOptions,
  zonesOf,
} from '../../config/corefile/args.ts';
import type { Block, Line, Token } from '../../config/corefile/types.ts';
import { nameFromText } from '../../dns/name.ts';
import type { PodMode } from './find.ts';
import { selectorArg } from './selector.ts';
import { isReverseZone, type Zone, zoneFrom } from './zone-records.ts';

const ROOT = Uint8Array.of(0);
const POD_MODES = ['disabled', 'insecure', 'verified'] as const;
const TOPOLOGIES = ['prefer'] as const;
const IGNORED = ['empty_service'] as const;
/** As in CoreDNS. */
const DEFAULT_TTL_SECONDS = 5;
const MAX_TTL_SECONDS = 3_600;
const DEFAULT_STARTUP_MS = 5_000;
const DEFAULT_MAX_AGE_MS = 180_000;
/** A watch that is well is heard every few seconds at most; a shorter limit would pass queries on without a reason. */
const MIN_MAX_AGE_MS = 15_000;

/** One use of the directive. */
export interface KubernetesOptions {
  readonly access: ApiAccess;
  readonly zones: readonly Zone[];
  readonly primary: Zone;
  readonly namespaces: readonly string[];
  /** Label selectors; '' for all objects. */
  readonly labels: string;
  readonly namespaceLabels: string;
  readonly pods: PodMode;
  readonly usesPodNames: boolean;
  readonly ttlSeconds: number;
  readonly hasEndpoints: boolean;
  readonly ignoresEmpty: boolean;
  /** Whether headless answers prefer endpoints of the node's own zone. */
  readonly prefersZone: boolean;
  readonly fallthrough: readonly Uint8Array[];
  /** How long a start waits for the first sync, milliseconds. */
  readonly startupMs: number;
  /** How long the API server may not have been heard before queries are passed on, milliseconds. */
  readonly maxAgeMs: number;
  /** Whether `/ready` shows that the API server cannot be watched. */
  readonly isAwaited: boolean;
}

type Draft = { -readonly [Key in keyof KubernetesOptions]: KubernetesOptions[Key] };

/** Throws ConfigError for an unknown option, for contradicting ones, and without a zone for names of Services. */
export function readKubernetes(line: Line, block: Block): KubernetesOptions {
  const api = apiAccessReader(line.name.place);
  const draft: Draft = {
    ...zonesIn(line, block),
    access: api.access(),
    namespaces: [],
    labels: '',
    namespaceLabels: '',
    pods: 'disabled',
    usesPodNames: false,
    ttlSeconds: DEFAULT_TTL_SECONDS,
    hasEndpoints: true,
    ignoresEmpty: false,
    prefersZone: false,
    fallthrough: [],
    startupMs: DEFAULT_STARTUP_MS,
    maxAgeMs: DEFAULT_MAX_AGE_MS,
    isAwaited: false,
  };
  readOptions(line, { ...api.options, ...readers(draft, block) });
  checkTogether(line, draft);
  return { ...draft, access: api.access() };
}

function readers(draft: Draft, block: Block): Options {
  return {
    namespaces: (option) => {
      draft.namespaces = [...draft.namespaces, ...minArgs(option, 1).map(namespaceArg)];
    },
    namespace_labels: (option) => {
      draft.namespaceLabels = selectorArg(option);
    },
    labels: (option) => {
      draft.labels = selectorArg(option);
    },
    pods: (option) => {
      draft.pods = choiceArg(oneArg(option), POD_MODES);
    },
    endpoint_pod_names: (option) => {
      noArgs(option);
      draft.usesPodNames = true;
    },
    ttl: (option) => {
      draft.ttlSeconds = intArg(oneArg(option), { min: 0, max: MAX_TTL_SECONDS });
    },
    noendpoints: (option) => {
      noArgs(option);
      draft.hasEndpoints = false;
    },
    ignore: (option) => {
      choiceArg(oneArg(option), IGNORED);
      draft.ignoresEmpty = true;
    },
    topology: (option) => {
      choiceArg(oneArg(option), TOPOLOGIES);
      draft.prefersZone = true;
    },
    fallthrough: ({ args }) => {
      draft.fallthrough = args.length === 0 ? [ROOT] : zonesOf(args, block).map(nameFromText);
    },
    startup_timeout: (option) => {
      draft.startupMs = durationArg(oneArg(option));
    },
    max_age: (option) => {
      draft.maxAgeMs = durationArg(oneArg(option), { minMs: MIN_MAX_AGE_MS });
    },
    ready: (option) => {
      noArgs(option);
      draft.isAwaited = true;
    },
    multicluster: refused(
      'ServiceImports and endpoints of other clusters are not watched: forward the clusterset zone to a CoreDNS that has it',
    ),
    zonal: refused('topology prefer is what nodens has: endpoints of the zone of the node'),
  };
}

function namespaceArg(token: Token): string {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(token.text))
    throw badValue(token, 'the name of a namespace');
  return token.text;
}

function refused(reason: string): (option: Line) => never {
  return ({ name }) => {
    throw new ConfigError(name.place, `kubernetes option ${name.text} is not supported: ${reason}`);
  };
}

function zonesIn(line: Line, block: Block): Pick<Draft, 'zones' | 'primary'> {
  const { place } = line.name;
  const texts = zonesOf(line.args, block);
  const forward = texts.find((text) => !isReverseZone(text));
  if (forward === undefined)
    throw new ConfigError(
      place,
      `kubernetes needs the zone of the Services as well, for names in PTR records: kubernetes cluster.local ${texts.join(' ')}`,
    );
  try {
    return { zones: texts.map(zoneFrom), primary: zoneFrom(forward) };
  } catch (error) {
    throw new ConfigError(place, messageOf(error), { cause: error });
  }
}

function checkTogether({ name: { place } }: Line, draft: Draft): void {
  if (draft.namespaces.length > 0 && draft.namespaceLabels !== '')
    throw new ConfigError(place, 'namespaces and namespace_labels exclude each other: remove one');
  if (!draft.hasEndpoints && draft.ignoresEmpty)
    throw new ConfigError(
      place,
      'ignore empty_service needs endpoints, and noendpoints does not watch them: remove one',
    );
  if (!draft.hasEndpoints && draft.prefersZone)
    throw new ConfigError(
      place,
      'topology needs endpoints, and noendpoints does not watch them: remove one',
    );
}
