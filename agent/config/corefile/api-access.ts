/**
 * Options of a directive that uses the Kubernetes API, as CoreDNS's `kubernetes` names them: `endpoint`, `tls`,
 * `kubeconfig`, `apiserver_qps`, `apiserver_burst`. Reads words only: `services.kubernetes.connect` reads the files.
 */
import { ConfigError, type Place } from '../../base/errors.ts';
import { argsBetween, badValue, intArg, type Options, oneArg } from './args.ts';
import type { Line, Token } from './types.ts';

/** A word of the Corefile with its position, for errors. */
export type PlacedText = Pick<Token, 'text' | 'place'>;

/**
 * How an API server is reached. Without `endpoint` and `kubeconfig`: the pod's own ServiceAccount, at
 * KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.
 */
export interface ApiAccess {
  /** The directive: errors without a better position point to it. */
  readonly place: Place;
  /** URL, `http://` or `https://`; it overrides that of the kubeconfig. */
  readonly endpoint?: PlacedText | undefined;
  /** Paths of PEM files: the agent's own certificate with its key, and the CA of the API server. */
  readonly tls?: ApiTlsFiles | undefined;
  readonly kubeconfig?: KubeconfigFile | undefined;
  /** Requests a second on average, and at once. Undefined: 5 and 10. Back-off comes in addition. */
  readonly requestsPerSecond?: number | undefined;
  readonly burst?: number | undefined;
}

/** Paths of three PEM files. */
export interface ApiTlsFiles {
  readonly cert: PlacedText;
  readonly key: PlacedText;
  readonly ca: PlacedText;
}

/** Path of a kubeconfig; `context` undefined: the current one of the file. */
export interface KubeconfigFile {
  readonly path: PlacedText;
  readonly context: PlacedText | undefined;
}

/** Handlers for `readOptions`, and what they have read so far. */
export interface ApiAccessReader {
  readonly options: Options;
  /** Call it after `readOptions`. */
  readonly access: () => ApiAccess;
}

const MAX_RATE = 10_000;

/** The options of the directive at `place`; each may be given once. They throw ConfigError at the word at fault. */
export function apiAccessReader(place: Place): ApiAccessReader {
  const read: { -readonly [Key in keyof ApiAccess]: ApiAccess[Key] } = { place };
  return {
    access: () => ({ ...read }),
    options: {
      endpoint: (option) => {
        once(option, read.endpoint);
        read.endpoint = urlArg(option);
      },
      tls: (option) => {
        once(option, read.tls);
        const [cert, key, ca] = argsBetween(option, 3, 3) as readonly [Token, Token, Token];
        read.tls = { cert, key, ca };
      },
      kubeconfig: (option) => {
        once(option, read.kubeconfig);
        const [path, context] = argsBetween(option, 1, 2) as readonly [Token, Token?];
        read.kubeconfig = { path, context };
      },
      apiserver_qps: (option) => {
        once(option, read.requestsPerSecond);
        read.requestsPerSecond = intArg(oneArg(option), { min: 1, max: MAX_RATE });
      },
      apiserver_burst: (option) => {
        once(option, read.burst);
        read.burst = intArg(oneArg(option), { min: 1, max: MAX_RATE });
      },
    },
  };
}

function once({ name }: Line, before: unknown): void {
  if (before !== undefined)
    throw new ConfigError(name.place, `${name.text} is given twice: remove one`);
}

function urlArg(option: Line): Token {
  const url = oneArg(option);
  const parsed = URL.canParse(url.text) ? new URL(url.text) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== '')
    throw badValue(url, 'the URL of an API server like https://10.96.0.1:443');
  return url;
}
