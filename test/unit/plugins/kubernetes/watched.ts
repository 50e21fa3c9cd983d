/** The plugin with watches whose objects the test sets by hand. */
import type { TYPE } from '../../../../agent/dns/iana.ts';
import { setup } from '../../../../agent/plugins/kubernetes/setup.ts';
import type { Answer } from '../../../../agent/query/answer.ts';
import type { Handler } from '../../../../agent/query/handler.ts';
import type { Plugin } from '../../../../agent/query/plugin.ts';
import { setUp } from '../../../support/corefiles/set-up.ts';
import { NextSpy, queryFor } from '../../../support/dns/queries.ts';
import type { FakeKubernetesApi } from '../../../support/kubernetes/fake-api.ts';
import {
  namespaceObject,
  serviceObject,
  sliceObject,
} from '../../../support/kubernetes/objects.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

export const SERVICES = '/api/v1/services';
export const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
export const NAMESPACES = '/api/v1/namespaces';
export const WEB = 'web.shop.svc.cluster.local';

export const apiOf = (services: FakeServices): FakeKubernetesApi => services.kubernetes;

/** Set up and prepared; the watches have begun and nothing has been listed. */
export async function begun(
  text = 'kubernetes cluster.local in-addr.arpa',
  services = fakeServices(),
): Promise<{ plugin: Plugin; services: FakeServices; next: NextSpy }> {
  const plugin = setUp(setup, text, services);
  const preparing = plugin.prepare?.('at once');
  await services.clock.advance(5_000);
  await preparing;
  plugin.start?.();
  return { plugin, services, next: new NextSpy() };
}

export function sync(services: FakeServices): void {
  const api = apiOf(services);
  api.watchOf(NAMESPACES).list([namespaceObject('shop')]);
  api
    .watchOf(SERVICES)
    .list([
      serviceObject('shop/web', { ips: ['10.96.0.1'], ports: ['http:80'] }),
      serviceObject('shop/out', { externalName: 'db.example.org' }),
      serviceObject('shop/db'),
    ]);
  api.watchOf(SLICES).list([sliceObject('shop/db-1', 'db', ['10.0.0.1'])]);
}

export async function synced(text?: string, services?: FakeServices) {
  const made = await begun(text, services);
  sync(made.services);
  return made;
}

export async function ask(
  plugin: Plugin,
  name: string,
  next: Handler,
  type: keyof typeof TYPE = 'A',
): Promise<Answer> {
  return (await plugin.handle?.(queryFor(name, type), next)) as Answer;
}
