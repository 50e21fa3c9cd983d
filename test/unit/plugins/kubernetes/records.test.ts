/** What an event of an EndpointSlice leaves as it is. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Endpoint, sliceOf } from '../../../../agent/plugins/kubernetes/objects.ts';
import { Records } from '../../../../agent/plugins/kubernetes/records.ts';
import { sliceObject } from '../../../support/kubernetes/objects.ts';

const OPTIONS = { usesPodNames: true, keepsZones: true };

/** The endpoints that the records have after a slice with `endpoints` came. */
function putSlice(records: Records, endpoints: readonly string[]): readonly Endpoint[] {
  records.setNamespace('shop');
  const slice = sliceOf(sliceObject('shop/web-x', 'web', endpoints), OPTIONS);
  assert.ok(slice);
  records.setSlice(slice.namespace, slice.name, slice.service, slice.kept);
  const [known] = records.namespace('shop')?.services.get('web')?.slices ?? [];
  return known?.slice.endpoints ?? [];
}

describe('Records', () => {
  it('keeps the endpoints of a slice that have not changed, and no others', () => {
    const first = ['10.0.0.1', '10.0.0.2', 'h=10.0.0.3', '10.0.0.4#a', '10.0.0.5@pod'];
    const second = [
      '10.0.0.1',
      '!10.0.0.2',
      'g=10.0.0.3',
      '10.0.0.4#b',
      '10.0.0.5@pop',
      '10.0.0.6',
    ];
    const records = new Records();
    const before = putSlice(records, first);
    const after = putSlice(records, second);
    assert.deepEqual(
      after.map((each, i) => each === before[i]),
      [true, false, false, false, false, false],
    );
    assert.deepEqual(after, putSlice(new Records(), second));
  });
});
