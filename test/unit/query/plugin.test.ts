import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { describe, it } from 'node:test';
import type { Answer } from '../../../agent/query/answer.ts';
import type { Handler } from '../../../agent/query/handler.ts';
import { after, compose, type Plugin } from '../../../agent/query/plugin.ts';
import { NextSpy, queryFor } from '../../support/dns/queries.ts';

const query = queryFor('www.example.org', 'A');
const { answer } = new NextSpy();
const other = answer.with({ plugin: 'other' });
const boom = new Error('boom');

/** Promises made while `body` runs. */
function promisesIn(body: () => void): number {
  let made = 0;
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'PROMISE') made++;
    },
  });
  hook.enable();
  try {
    body();
  } finally {
    hook.disable();
  }
  return made;
}

const passOn = (name: string): Plugin => ({ name, handle: (q, next) => next(q) });
const look = (name: string): Plugin => ({
  name,
  handle: (q, next) => after(next, q, (result) => result),
});

describe('compose', () => {
  it('calls plugins in order and ends with the last link', () => {
    const seen: string[] = [];
    const note = (name: string): Plugin => ({
      name,
      handle: (q, next) => {
        seen.push(name);
        return next(q);
      },
    });
    const chain = compose([note('a'), { name: 'silent' }, note('b')], () => {
      seen.push('last');
      return answer;
    });
    assert.equal(chain(query), answer);
    assert.deepEqual(seen, ['a', 'b', 'last']);
  });

  it('returns the last link for no plugins', () => {
    const last: Handler = () => answer;
    assert.equal(compose([], last), last);
  });

  it('lets a plugin answer before the plugins below', () => {
    const next = new NextSpy();
    const chain = compose([{ name: 'a', handle: () => other }, passOn('b')], next.handler);
    assert.equal(chain(query), other);
    assert.equal(next.asked, 0);
  });

  it('makes no promise with six plugins that answer at once', () => {
    const plugins = ['a', 'b', 'c'].flatMap((name) => [passOn(name), look(name)]);
    const chain = compose(plugins, () => answer);
    let result: unknown;
    const made = promisesIn(() => {
      for (let i = 0; i < 100; i++) result = chain(query);
    });
    assert.equal(result, answer);
    assert.equal(made, 0);
    // The counter works: one promise is counted.
    assert.equal(
      promisesIn(() => void Promise.resolve()),
      1,
    );
  });
});

describe('after', () => {
  const fail = (): never => {
    throw boom;
  };

  it('acts on a value at once', () => {
    assert.equal(
      after(
        () => answer,
        query,
        () => other,
      ),
      other,
    );
  });

  it('acts on a promised answer', async () => {
    const result = after(
      () => Promise.resolve(answer),
      query,
      (got) => got.with({ plugin: 'seen' }),
    );
    assert.ok(result instanceof Promise);
    assert.equal((await result).plugin, 'seen');
  });

  it('passes a throw and a rejection to the same function', async () => {
    const seen: unknown[] = [];
    const onError = (error: unknown): Answer => {
      seen.push(error);
      return other;
    };
    assert.equal(after(fail, query, fail, onError), other);
    assert.equal(await after(() => Promise.reject(boom), query, fail, onError), other);
    assert.deepEqual(seen, [boom, boom]);
  });

  it('passes errors on where no plugin handles them', async () => {
    const keep = (got: Answer): Answer => got;
    assert.throws(() => after(fail, query, keep), boom);
    await assert.rejects(async () => after(() => Promise.reject(boom), query, keep), boom);
  });

  it('does not treat an error thrown by onAnswer as an error of the chain', async () => {
    const wrong = (): Answer => other;
    assert.throws(() => after(() => answer, query, fail, wrong), boom);
    await assert.rejects(
      async () => after(() => Promise.resolve(answer), query, fail, wrong),
      boom,
    );
  });
});
