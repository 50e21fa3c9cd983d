/** Admin ports in a test, with the services of the test. */
import { PacedWork } from '../../agent/base/paced-work.ts';
import { AdminServer } from '../../agent/observe/admin/admin.ts';
import { clientLimits } from '../../agent/observe/log/client-limits.ts';
import type { FakeServices } from './services.ts';

export function adminServer(services: FakeServices): AdminServer {
  const { clock, metrics, log } = services;
  return new AdminServer({
    ...services,
    work: new PacedWork(clock),
    onLimited: clientLimits(metrics, log),
  });
}
