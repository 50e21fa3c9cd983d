/** The command line of the doctor. */
import { Command, CommanderError } from 'commander';
import {
  addressBytes,
  familyOf,
  formatAddress,
  parseEndpoint,
  parsePort,
} from '../../agent/base/address.ts';
import { UsageError } from '../../agent/base/errors.ts';

export interface DoctorOptions {
  /** Empty where they are to be found on the node. */
  readonly localIps: readonly string[];
  readonly port: number;
  /** ClusterIPs to ask kube-dns at; not one that nodens answers on. Empty where they are to be found on the node. */
  readonly kubeDns: readonly string[];
  /** ClusterIP of such a Service as the kubelet says, of one family where there are two. */
  readonly kubeDnsUpstream: string | undefined;
  /** ClusterIP of kube-dns itself, as the kubelet says in its namespace: nodens may answer there. */
  readonly kubeDnsService: string | undefined;
  /** ClusterIPs of kube-dns as the settings say. */
  readonly clusterIps: readonly string[];
  readonly clusterDomain: string;
  /** Whether the domain was said; else it is what clusters mostly have. */
  readonly isDomainTold: boolean;
  /** Whether kube-dns has the Service `kubernetes.default`. */
  readonly knowsKubernetes: boolean;
  readonly resolvConf: string;
  /** Where the agent's /metrics is, `ADDR:PORT`. */
  readonly metrics: string;
  readonly isJson: boolean;
}

interface Flags {
  readonly localip?: string;
  readonly port: string;
  readonly kubedns?: string;
  readonly domain?: string;
  readonly withoutKubernetesService?: true;
  readonly resolvconf: string;
  readonly metrics: string;
  readonly json?: true;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the kubelet says about Services for kube-dns that nodens does not intercept. */
const SERVICE_HOSTS = ['NODENS_UPSTREAM_SERVICE_HOST', 'KUBE_DNS_UPSTREAM_SERVICE_HOST'];

const DEFAULT_DOMAIN = 'cluster.local';

export const USAGE = 'usage: nodens doctor [--json] [--localip IP,…] [--kubedns IP,…]';

export function helpText(): string {
  return program({}).helpInformation();
}

/** Throws UsageError. */
export function doctorOptionsFrom(argv: readonly string[], env: Environment): DoctorOptions {
  const flags = parse(argv, env);
  const port = parsePort(flags.port);
  if (port === undefined) throw new UsageError(`--port: ${flags.port} is not a port (1–65535)`);
  return {
    localIps: addresses('--localip', flags.localip),
    port,
    kubeDns: addresses('--kubedns', flags.kubedns),
    kubeDnsUpstream: SERVICE_HOSTS.flatMap((name) => env[name] ?? [])[0],
    kubeDnsService: env.KUBE_DNS_SERVICE_HOST,
    clusterIps: (env.KUBE_DNS_IPS ?? '').split(',').filter((ip) => familyOf(ip) !== undefined),
    clusterDomain: (flags.domain ?? DEFAULT_DOMAIN).replace(/\.$/, ''),
    isDomainTold: flags.domain !== undefined,
    knowsKubernetes: flags.withoutKubernetesService !== true,
    resolvConf: flags.resolvconf,
    metrics: endpoint('--metrics', flags.metrics),
    isJson: flags.json === true,
  };
}

function program(env: Environment): Command {
  return new Command('nodens doctor')
    .usage('[options]')
    .description(
      'Would a query from a pod of this node be answered, and by whom? Changes nothing.\n' +
        'Exit code: 0 all is well, 1 something is odd or was not seen, 2 something is broken.',
    )
    .option('--json', 'facts and findings as JSON')
    .option('--localip <ips>', 'addresses nodens answers on (default: found on the node)')
    .option(
      '--kubedns <ips>',
      'ClusterIP of the Service that nodens asks (default: found on the node)',
    )
    .option('--domain <name>', `the cluster's domain (${DEFAULT_DOMAIN})`, env.CLUSTER_DOMAIN)
    .option('--without-kubernetes-service', 'kube-dns does not know the Service kubernetes.default')
    .option('--port <port>', "nodens's DNS port", '53')
    .option('--resolvconf <file>', "the node's resolvers", '/etc/resolv.conf')
    .option('--metrics <addr>', "address and port of the agent's /metrics", '127.0.0.1:9253')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
}

function parse(argv: readonly string[], env: Environment): Flags {
  // Go's way of writing flags, as everywhere else in nodens.
  const doubled = argv.map((word) => word.replace(/^-(?=[a-z]{2})/, '--'));
  try {
    return program(env).parse(doubled, { from: 'user' }).opts<Flags>();
  } catch (error) {
    if (error instanceof CommanderError)
      throw new UsageError(error.message.replace(/^error: /, ''));
    throw error;
  }
}

function endpoint(flag: string, text: string): string {
  const word = text.startsWith(':') ? `127.0.0.1${text}` : text;
  if (/:\d+$/.test(word) && parseEndpoint(word, 0) !== undefined) return word;
  throw new UsageError(`${flag}: ${text} is not an IP address with a port`);
}

function addresses(flag: string, list = ''): string[] {
  const words = list.split(',').map((word) => word.trim());
  return [...new Set(words.filter((word) => word !== ''))].map((word) => {
    if (familyOf(word) === undefined) throw new UsageError(`${flag}: ${word} is not an IP address`);
    return formatAddress(addressBytes(word));
  });
}
