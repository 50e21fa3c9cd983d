/** Services and EndpointSlices that are as large as the API server lets them be: no answer may stop the agent for long. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Answer, decode } from 'dns-packet';
import type { Records } from '../../../../agent/plugins/kubernetes/records.ts';
import {
  namespaceObject,
  serviceObject,
  sliceObject,
} from '../../../support/kubernetes/objects.ts';
import { askRecords, recordsOf } from './asking.ts';

/** Of one EndpointSlice (ValidateEndpointSlice of the API server). */
const MAX_ENDPOINTS = 1_000;
const MAX_PORTS = 100;
/** CPU: before they were bounded, these answers took more than a second, now a few hundredths. */
const MAX_MS = 700;

/** The answer section of what the records answer in time. Other programs of the machine do not count. */
function answered(records: Records, name: string, type: 'PTR' | 'SRV'): readonly Answer[] {
  const before = process.cpuUsage();
  const outcome = askRecords(records, name, type);
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1_000;
  assert.ok(cpuMs < MAX_MS, `${name} ${type} took ${cpuMs} ms`);
  assert.ok(outcome.kind === 'answer');
  return decode(Buffer.from(outcome.answer.wire)).answers ?? [];
}

it('answers for an address that each endpoint of an EndpointSlice has', () => {
  const endpoints = Array.from({ length: MAX_ENDPOINTS }, (_, i) => `web-${i}=10.0.0.1`);
  const records = recordsOf([
    namespaceObject('shop'),
    serviceObject('shop/web'),
    sliceObject('shop/web-a', 'web', endpoints),
  ]);
  const answers = answered(records, '1.0.0.10.in-addr.arpa.', 'PTR');
  assert.equal(new Set(answers.map((record) => 'data' in record && record.data)).size, 1_000);
});

it('answers for EndpointSlices with as many ports and endpoints as they may have', () => {
  const name = (i: number): string => String.fromCharCode(0x61 + (i >> 4), 0x61 + (i & 15));
  const ports = Array.from({ length: MAX_PORTS }, (_, i) => `${name(i)}:${i + 1}`);
  const slices = [0, 1, 2].map((slice) => {
    const address = (i: number): string => `10.${slice}.${i >> 8}.${i & 0xff}`;
    const endpoints = Array.from({ length: MAX_ENDPOINTS }, (_, i) => address(i));
    return sliceObject(`shop/web-${slice}`, 'web', endpoints, ports);
  });
  const records = recordsOf([namespaceObject('shop'), serviceObject('shop/web'), ...slices]);
  const answers = answered(records, 'web.shop.svc', 'SRV');
  assert.ok(answers.length > 1_000, `${answers.length} records: the message is not full`);
});
