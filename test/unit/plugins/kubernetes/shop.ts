/** A small cluster, and tables of questions to it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { decode } from 'dns-packet';
import { FLAG, flagsOf } from '../../../../agent/dns/header.ts';
import type { TYPE } from '../../../../agent/dns/iana.ts';
import type { AnswerOptions } from '../../../../agent/plugins/kubernetes/answers.ts';
import {
  namespaceObject,
  podObject,
  serviceObject,
  sliceObject,
} from '../../../support/kubernetes/objects.ts';
import { askRecords, lineOf, recordsOf } from './asking.ts';

const WEB = ['http:80', 'https:443'];

export const OBJECTS = [
  ...['shop', 'empty', 'kube-system'].map(namespaceObject),
  serviceObject('shop/web', { ips: ['10.96.0.1'], ports: WEB }),
  sliceObject('shop/web-a', 'web', ['10.0.1.1', '!10.0.1.2'], WEB),
  serviceObject('shop/plain', { ips: ['10.96.0.2'], ports: ['80'] }),
  serviceObject('shop/portless', { ips: ['10.96.0.3'] }),
  serviceObject('shop/both', { ips: ['10.96.0.4', 'fd00::4'], ports: ['http:80'] }),
  serviceObject('shop/six', { ips: ['fd00::5'], ports: ['http:80'] }),
  // Headless, in two slices, one for each family.
  serviceObject('shop/db', { ports: ['pg:5432'] }),
  sliceObject(
    'shop/db-4',
    'db',
    ['db-0=10.0.2.1', '10.0.2.2', '!10.0.2.3', 'two=10.0.2.4', 'two=10.0.2.5'],
    ['pg:5432'],
  ),
  sliceObject('shop/db-6', 'db', ['db-0=fd00:2::1', 'fd00:2::'], ['pg:5432']),
  serviceObject('shop/unready'),
  sliceObject('shop/unready-a', 'unready', ['!10.0.3.1'], ['http:80']),
  serviceObject('shop/early', { publishNotReadyAddresses: true }),
  sliceObject('shop/early-a', 'early', ['!10.0.4.1'], ['gossip:7946/UDP']),
  serviceObject('shop/bare'),
  sliceObject('shop/bare-a', 'bare', ['10.0.5.1']),
  serviceObject('shop/pods'),
  sliceObject(
    'shop/pods-a',
    'pods',
    ['10.0.6.1@pods-0', `10.0.6.2@${'x'.repeat(64)}`],
    ['http:80'],
  ),
  serviceObject('shop/out', { externalName: 'db.example.org', ports: ['http:80'] }),
  serviceObject('shop/in', { externalName: 'web.shop.svc.cluster.local' }),
  serviceObject('shop/in6', { externalName: 'six.shop.svc.cluster.local.' }),
  serviceObject('shop/twice', { externalName: 'in.shop.svc.cluster.local' }),
  serviceObject('shop/gone', { externalName: 'nope.shop.svc.cluster.local' }),
  serviceObject('shop/self', { externalName: 'self.shop.svc.cluster.local' }),
  serviceObject('shop/ping', { externalName: 'pong.shop.svc.cluster.local' }),
  serviceObject('shop/pong', { externalName: 'ping.shop.svc.cluster.local' }),
  serviceObject('shop/ip', { externalName: '192.0.2.1' }),
  serviceObject('lost/web', { ips: ['10.96.0.99'], ports: WEB }),
  serviceObject('kube-system/kube-dns', {
    ips: ['10.96.0.10'],
    ports: ['dns:53/UDP', 'dns-tcp:53'],
  }),
  podObject('shop/pod-1', ['10.0.7.1', 'fd00:7::1']),
];

export const RECORDS = recordsOf(OBJECTS);

/** Lines of `NAME TYPE = ANSWER`; see `lineOf`. */
export function table(
  lines: string,
  options: Partial<AnswerOptions> = {},
  records = RECORDS,
): void {
  for (const line of lines.trim().split('\n')) {
    const [question = '', expected = ''] = line.trim().split(/ += +/);
    const [name = '', type = ''] = question.split(/ +/);
    it(question, () => {
      const outcome = askRecords(records, name, type as keyof typeof TYPE, options);
      assert.equal(lineOf(outcome), expected);
      if (outcome.kind !== 'alias') checkWhole(outcome.answer.wire);
    });
  }
}

/** What every answer has: AA, TTLs of 5 s but for the version, and a SOA where there is nothing else. */
function checkWhole(wire: Buffer): void {
  const { answers = [], authorities = [], additionals = [], questions } = decode(wire);
  assert.equal(flagsOf(wire) & FLAG.AA, FLAG.AA);
  assert.equal(authorities.map(({ type }) => type).join(), answers.length === 0 ? 'SOA' : '');
  for (const record of [...answers, ...authorities, ...additionals])
    assert.equal('ttl' in record && record.ttl, record.type === 'TXT' ? 28_800 : 5);
  assert.equal(answers[0]?.name ?? questions?.[0]?.name, questions?.[0]?.name);
}
