/** Answers that pass through `loadbalance`. */
import assert from 'node:assert/strict';
import { encode, type Answer as PacketRecord } from 'dns-packet';
import { readReply } from '../../../../agent/dns/reply.ts';
import { setup } from '../../../../agent/plugins/loadbalance/setup.ts';
import { type Answer, relayedAnswer } from '../../../../agent/query/answer.ts';
import { parseDirective } from '../../../support/corefiles/parse.ts';
import { ask, queryFor } from '../../../support/dns/queries.ts';
import { type FakeServices, fakeServices } from '../../../support/services.ts';

export function loadbalance(text: string, services: FakeServices = fakeServices()) {
  const { directive, block } = parseDirective(text);
  return setup(directive, block, services);
}

/** Numbers in [0, 1) in turn, over and over. */
export function cycle(...numbers: number[]): () => number {
  let i = 0;
  return () => numbers[i++ % numbers.length] as number;
}

export function relayed(wire: Buffer): Answer {
  const reply = readReply(wire);
  assert.ok(reply !== undefined);
  return relayedAnswer(reply, 'forward', 0);
}

type Sections = Partial<Record<'answers' | 'authorities' | 'additionals', PacketRecord[]>>;

/** An answer without name compression. */
export function plain(sections: Sections, flags = 0): Answer {
  const questions = [{ type: 'A', name: 'www.example' }] as const;
  return relayed(encode({ type: 'response', flags, questions: [...questions], ...sections }));
}

export function addresses(name: string, ...list: string[]): PacketRecord[] {
  return list.map((data) => ({ name, type: data.includes(':') ? 'AAAA' : 'A', ttl: 60, data }));
}

export function through(text: string, answer: Answer, random = () => 0): Answer {
  const plugin = loadbalance(text, fakeServices({ random }));
  return ask(plugin, queryFor('www.example', 'A'), () => answer);
}

export const THREE = addresses('www.example', '10.0.0.1', '10.0.0.2', '10.0.0.3');
