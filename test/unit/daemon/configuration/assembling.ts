/** Builds the server configuration of a Corefile in a test: real plugins, faked services. */
import { formatEndpoint } from '../../../../agent/base/address.ts';
import { BlockIdentities } from '../../../../agent/daemon/configuration/block-ids.ts';
import {
  buildServerConfig,
  type ServerConfig,
} from '../../../../agent/daemon/configuration/server-config-builder.ts';
import type { ServerLabel } from '../../../../agent/query/services/block.ts';
import { parseText } from '../../../support/corefiles/parse.ts';
import { RecordingMetrics } from '../../../support/server/fixture.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

export interface Assembled {
  readonly serverConfig: ServerConfig;
  readonly services: FakeServices;
  /** `server zone view` of every row of counters that was made. */
  readonly rows: string[];
  /** Identities of the blocks that have a cache. */
  readonly blockIds: number[];
  /** Views of the blocks that open the cache. */
  readonly views: readonly string[];
}

export function assembled(text: string): Assembled {
  const rows: string[] = [];
  const blockIds: number[] = [];
  const views: string[] = [];
  const labels = new Map<string, ServerLabel>();
  const services = fakeServices({
    cache: {
      open: ({ id, view }) => {
        blockIds.push(id);
        views.push(view);
        return { handle: (query, next) => next(query) };
      },
    },
  });
  const serverConfig = buildServerConfig(parseText(text), {
    shared: services,
    identities: new BlockIdentities(() => {}),
    interfaces: () => new Map([['lo', ['127.0.0.1']]]),
    notReadyReasons: () => [],
    label: (endpoint) => {
      const label = `dns://${formatEndpoint(endpoint)}`;
      const known = labels.get(label) ?? { index: labels.size, label };
      labels.set(label, known);
      return known;
    },
    requestMetrics: (server, zone, view) => {
      rows.push(`${server.label} ${zone} ${view}`);
      return new RecordingMetrics();
    },
  });
  return { serverConfig, services, rows, blockIds, views };
}
