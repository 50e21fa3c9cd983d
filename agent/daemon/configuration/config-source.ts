/** Source of the Corefile: a template with placeholders, a plain file, or the built-in one. */
import { createHash, type Hash } from 'node:crypto';
import { dirname, posix } from 'node:path';
import { ConfigError, errnoOf, messageOf } from '../../base/errors.ts';
import { lackOfOpening, UnreadError } from '../../base/lack.ts';
import { clusterDomainOf, parseResolvConf } from '../../base/resolv-conf.ts';
import type { Environment } from '../../config/corefile/env.ts';
import { type ConfigFiles, recordReads } from '../../config/corefile/imports.ts';
import { parseCorefile } from '../../config/corefile/parser.ts';
import type { Corefile } from '../../config/corefile/types.ts';
import { DEFAULT_COREFILE, DEFAULT_COREFILE_NAME } from '../../config/defaults.ts';
import {
  type KubeDnsConfig,
  NO_KUBE_DNS,
  readKubeDns,
  STUB_DOMAINS,
} from '../../config/kube-dns.ts';
import { renderCorefile, serviceIpOf } from '../../config/placeholders.ts';
import { writeAtomically } from '../../config/watch.ts';
import type { Logger } from '../../query/services/log.ts';
import type { AgentOptions } from '../options.ts';

const RESOLV_CONF = '/etc/resolv.conf';

/** What a source reads from and reports to. `env` contains the addresses of Services. */
export interface ConfigSourceParts {
  readonly files: ConfigFiles;
  readonly env: Environment;
  readonly log: Logger;
  /** Called for each invalid key of the kube-dns ConfigMap, and if the copy of the Corefile cannot be written. */
  readonly onProblem: () => void;
  /** Does not write the rendered Corefile, for a check. */
  readonly isDryRun?: boolean;
}

/** Uses the template at `basePath` if it is a file, else the file at `confPath`, else the built-in Corefile. */
export class ConfigSource {
  readonly #options: AgentOptions;
  readonly #parts: ConfigSourceParts;
  #kubeDns: KubeDnsConfig = NO_KUBE_DNS;
  /** Files that the last parse imported or searched for. */
  #imported: ReadonlySet<string> = new Set();
  #inputs = '';
  /** Warnings and problems of the inputs being read, logged later. */
  #reports: (() => void)[] = [];

  constructor(options: AgentOptions, parts: ConfigSourceParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /** Files and directories whose change may change the configuration. */
  get watched(): string[] {
    const { basePath, confPath, kubeDnsDir } = this.#options;
    const file = this.#isTemplate() ? basePath : confPath;
    return file === undefined ? [] : [file, kubeDnsDir, ...this.#imported];
  }

  /** Hash of every text that the last `load` read: unchanged files have the same hash. */
  get inputs(): string {
    return this.#inputs;
  }

  /**
   * Reads everything again. Throws ConfigError (`file:line: reason`), or UnreadError if this node lacks a resource to
   * read. Warnings and problems of texts unchanged since the last load are neither logged nor counted again.
   */
  load(): Corefile {
    const hash = createHash('sha256');
    this.#reports = [];
    const files = new LackSeer(this.#parts.files);
    try {
      const corefile = this.#load(hashReads(files, hash));
      if (files.unread !== undefined) throw files.unread;
      return corefile;
    } catch (error) {
      if (files.unread === undefined) throw error;
      // Any reported problem was a consequence of the lack.
      this.#reports = [];
      throw files.unread;
    } finally {
      const inputs = hash.digest('hex');
      if (inputs !== this.#inputs) for (const report of this.#reports) report();
      this.#inputs = inputs;
    }
  }

  #load(files: ConfigFiles): Corefile {
    const { confPath, port } = this.#options;
    const { env, log } = this.#parts;
    const isTemplate = this.#isTemplate();
    const { file, text } = this.#read(isTemplate, files);
    const rendered = this.#render(text, file, files);
    const recorded = recordReads(files);
    this.#imported = recorded.paths;
    const parsed = parseCorefile(rendered.text, {
      ...{ file, env, defaultPort: port, files: recorded, placeOf: rendered.placeOf },
      // node-local-dns resolves imports relative to the file it renders to, not to the template.
      directory: isTemplate && confPath !== undefined ? dirname(confPath) : undefined,
    });
    for (const warning of [...rendered.warnings, ...parsed.warnings])
      this.#reports.push(() => log.warn({ event: 'corefile-warning' }, warning));
    refuseEmpty(parsed, this.#options.kubeDnsDir);
    if (isTemplate && confPath !== undefined && this.#parts.isDryRun !== true)
      this.#writeCopy(confPath, rendered.text);
    return parsed;
  }

  #isTemplate(): boolean {
    return this.#parts.files.kind(this.#options.basePath) === 'file';
  }

  #read(isTemplate: boolean, files: ConfigFiles): { file: string; text: string } {
    const { basePath, confPath } = this.#options;
    const file = isTemplate ? basePath : confPath;
    if (file === undefined) return { file: DEFAULT_COREFILE_NAME, text: DEFAULT_COREFILE };
    try {
      return { file, text: files.read(file) };
    } catch (error) {
      throw new ConfigError({ file, line: 1 }, `cannot be read: ${messageOf(error)}`);
    }
  }

  #render(text: string, file: string, files: ConfigFiles): ReturnType<typeof renderCorefile> {
    const { localIps, upstreamService, port, prometheusAddress } = this.#options;
    return renderCorefile(text, file, {
      localIps,
      upstreamService,
      upstreamServiceIp: serviceIpOf(upstreamService, this.#parts.env),
      prometheusEndpoint: prometheusAddress,
      dnsPort: port,
      kubeDns: this.#readKubeDns(files),
      clusterDomain: this.#clusterDomain(),
    });
  }

  #readKubeDns(files: ConfigFiles): KubeDnsConfig {
    const { log, onProblem } = this.#parts;
    const { config, problems } = readKubeDns(this.#options.kubeDnsDir, files, this.#kubeDns);
    for (const problem of problems)
      this.#reports.push(() => {
        onProblem();
        log.error(
          { event: 'kube-dns-config' },
          `kube-dns ConfigMap: ${problem.message}; the former value stays`,
        );
      });
    this.#kubeDns = config;
    return config;
  }

  #clusterDomain(): string | undefined {
    try {
      return clusterDomainOf(parseResolvConf(this.#parts.files.read(RESOLV_CONF)));
    } catch {
      // Only a hint for a placeholder that the installer should have replaced.
      return undefined;
    }
  }

  /** For people and tools that read `-conf`; a read-only file system is not an error. */
  #writeCopy(path: string, text: string): void {
    try {
      writeAtomically(path, text);
    } catch (error) {
      this.#parts.log.info({ path }, `cannot write the rendered Corefile: ${messageOf(error)}`);
    }
  }
}

/** Wraps `files` and records which could not be read for lack of a resource. */
class LackSeer implements ConfigFiles {
  readonly #files: ConfigFiles;
  unread: UnreadError | undefined;

  constructor(files: ConfigFiles) {
    this.#files = files;
  }

  readonly read = (path: string): string => this.#seeing(path, () => this.#files.read(path));
  readonly list = (dir: string): string[] => this.#seeing(dir, () => this.#files.list(dir));
  readonly kind: ConfigFiles['kind'] = (path) => this.#files.kind(path);

  #seeing<T>(path: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const lack = lackOfOpening(errnoOf(error));
      if (lack !== undefined) this.unread ??= new UnreadError(path, lack, error);
      throw error;
    }
  }
}

/** Wraps `files` and adds their texts and read errors to `hash`. */
function hashReads(files: ConfigFiles, hash: Hash): ConfigFiles {
  return {
    ...files,
    read: (path) => {
      try {
        const text = files.read(path);
        hash.update(`${path} ${text.length} ${text}`);
        return text;
      } catch (error) {
        hash.update(`${path} ${messageOf(error)}`);
        throw error;
      }
    },
  };
}

/**
 * Throws ConfigError if the Corefile has no server block, whatever the kube-dns ConfigMap adds: an empty mount, or
 * missing imports, must not stop DNS.
 */
function refuseEmpty({ file, blocks, warnings }: Corefile, kubeDnsDir: string): void {
  const generated = posix.join(kubeDnsDir, STUB_DOMAINS);
  if (blocks.some(({ place }) => place.file !== generated)) return;
  const reason = ['no server block, so no query would be answered: add one, like ". { … }"'];
  throw new ConfigError({ file, line: 1 }, [...reason, ...warnings].join('; '));
}
