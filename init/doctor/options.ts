/** The command line of the doctor. */
import { Command } from 'commander';
import {
  addressBytes,
  familyOf,
  formatAddress,
  parseEndpoint,
  parsePort,
} from '../../agent/base/address.ts';
import { CONTROL_SOCKET_ENV, DEFAULT_CONTROL_SOCKET } from '../../agent/base/control.ts';
import { UsageError } from '../../agent/base/errors.ts';
import { parseWith } from '../../agent/base/flags/parse.ts';
import { defaultOf } from '../../agent/base/flags/table.ts';
import { DEFAULT_CLUSTER_DOMAIN } from '../../agent/base/resolv-conf.ts';

/** The checked command line of the doctor, with what the environment adds. */
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
  /** Path of the file. */
  readonly resolvConf: string;
  /** Where the agent's /metrics is, `ADDR:PORT`. */
  readonly metrics: string;
  /** Path of init's control socket. */
  readonly controlSocket: string;
  /** No init belongs to the agent, which is an ordinary pod or a plain resolver. */
  readonly withoutInit: boolean;
  readonly isJson: boolean;
}

/** Environment variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the kubelet says about Services for kube-dns that nodens does not intercept. */
const SERVICE_HOSTS = ['NODENS_UPSTREAM_SERVICE_HOST', 'KUBE_DNS_UPSTREAM_SERVICE_HOST'];

/** One line for standard error after a `UsageError`. */
export const USAGE = 'usage: nodens doctor [--json] [--localip IP,…] [--kubedns IP,…]';

/** Throws UsageError. */
export function doctorOptionsFrom(argv: readonly string[], env: Environment): DoctorOptions {
  const { values: flags } = parseWith(new Command(), 'doctor', argv);
  const value = (name: string): string => flags[name] ?? defaultOf('doctor', name) ?? '';
  const port = parsePort(value('port'));
  if (port === undefined) throw new UsageError(`--port: ${flags.port} is not a port (1–65535)`);
  const domain = flags.domain ?? env.CLUSTER_DOMAIN;
  return {
    localIps: addresses('--localip', flags.localip),
    port,
    kubeDns: addresses('--kubedns', flags.kubedns),
    kubeDnsUpstream: SERVICE_HOSTS.flatMap((name) => env[name] ?? [])[0],
    kubeDnsService: env.KUBE_DNS_SERVICE_HOST,
    clusterIps: (env.KUBE_DNS_IPS ?? '').split(',').filter((ip) => familyOf(ip) !== undefined),
    clusterDomain: (domain ?? DEFAULT_CLUSTER_DOMAIN).replace(/\.$/, ''),
    isDomainTold: domain !== undefined,
    knowsKubernetes: flags['without-kubernetes-service'] !== 'true',
    resolvConf: value('resolvconf'),
    metrics: endpoint('--metrics', value('metrics')),
    controlSocket: flags.socket ?? env[CONTROL_SOCKET_ENV] ?? DEFAULT_CONTROL_SOCKET,
    withoutInit: flags['without-init'] === 'true',
    isJson: flags.json === 'true',
  };
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
