import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type ClientShare,
  type Holding,
  MemoryLedger,
} from '../../../../agent/base/clients/memory-ledger.ts';

class Held implements Holding {
  readonly kind: Holding['kind'];
  heldBytes: number;
  gaveWay = 0;

  constructor(heldBytes: number, kind: Holding['kind'] = 'query') {
    this.heldBytes = heldBytes;
    this.kind = kind;
  }

  giveWay(): void {
    this.gaveWay++;
  }
}

function hold(share: ClientShare, count: number, bytes: number, kind?: Holding['kind']): Held[] {
  return Array.from({ length: count }, () => {
    const held = new Held(bytes, kind);
    share.add(held);
    return held;
  });
}

const ledgerOf = (clientBudgetBytes: number, weightOf?: (key: string) => number): MemoryLedger =>
  new MemoryLedger({
    clientBudgetBytes,
    fileBudgetBytes: 100,
    ...(weightOf === undefined ? {} : { weightOf }),
  });

const gone = (helds: readonly Held[]): number => helds.filter(({ gaveWay }) => gaveWay > 0).length;

describe('the memory ledger', () => {
  it('drops the oldest query of the client that holds the most', () => {
    const ledger = ledgerOf(100);
    const large = hold(ledger.share('large'), 8, 10);
    const small = hold(ledger.share('small'), 4, 10);
    assert.deepEqual(
      large.map(({ gaveWay }) => gaveWay),
      [1, 1, 0, 0, 0, 0, 0, 0],
    );
    assert.equal(gone(small), 0);
    assert.equal(ledger.usedBytes, 100);
  });

  it('has room for a client with few queries beside thousands of others with as few', () => {
    const ledger = ledgerOf(1_000);
    for (let i = 0; i < 3_000; i++) hold(ledger.share(`client ${i % 40}`), 1, 10);
    const [mine] = hold(ledger.share('mine'), 1, 10);
    hold(ledger.share('client 1'), 100, 10);
    assert.equal(mine?.gaveWay, 0);
  });

  it('finds one large holder among thousands of small ones', () => {
    const ledger = ledgerOf(20_000);
    for (let i = 0; i < 1_500; i++) hold(ledger.share(`spoofed ${i}`), 1, 10);
    const large = hold(ledger.share('large'), 500, 10);
    const others = hold(ledger.share('another'), 40, 10);
    assert.ok(gone(large) >= 35, `${gone(large)} of the large one's gave way`);
    assert.equal(gone(others), 0);
  });

  it('closes the largest connection of a client whose connections hold the most', () => {
    const ledger = ledgerOf(1_000);
    const share = ledger.share('a');
    const queries = hold(share, 4, 10);
    const connections = [100, 700, 150].map((bytes) => hold(share, 1, bytes, 'connection')[0]);
    ledger.share('b').add(new Held(100));
    assert.deepEqual(
      connections.map((held) => held?.gaveWay),
      [0, 1, 0],
    );
    assert.equal(gone(queries), 0);
  });

  it('takes the growth of a connection into account', () => {
    const ledger = ledgerOf(1_000);
    const quiet = new Held(100, 'connection');
    const greedy = new Held(100, 'connection');
    ledger.share('quiet').add(quiet);
    const share = ledger.share('greedy');
    share.add(greedy);
    share.resize(greedy, 1_000);
    assert.deepEqual([quiet.gaveWay, greedy.gaveWay], [0, 1]);
    assert.equal(ledger.usedBytes, 100);
    // A dropped entry can neither grow nor be removed again.
    share.resize(greedy, 5_000);
    share.remove(greedy);
    assert.equal(ledger.usedBytes, 100);
  });

  it('counts a weighted client by its weight', () => {
    const ledger = ledgerOf(100, (key) => (key === 'node' ? 4 : 1));
    const node = hold(ledger.share('node'), 6, 10);
    const pod = hold(ledger.share('pod'), 6, 10);
    assert.deepEqual([gone(node), gone(pod)], [0, 2]);
  });

  it('survives an entry that is dropped at the moment it is added', () => {
    const ledger = ledgerOf(100);
    const [held] = hold(ledger.share('a'), 1, 200);
    assert.equal(held?.gaveWay, 1);
    assert.equal(ledger.usedBytes, 0);
  });

  it('reports limited clients only when memory is short, and never a small client', () => {
    const ledger = ledgerOf(100);
    hold(ledger.share('large'), 6, 10);
    hold(ledger.share('small'), 1, 10);
    assert.equal(ledger.isPressed(ledger.share('large')), false);
    hold(ledger.share('large'), 2, 10);
    assert.equal(ledger.isPressed(ledger.share('large')), true);
    assert.equal(ledger.isPressed(ledger.share('small')), false);
  });

  it('forgets clients that hold nothing', () => {
    const ledger = ledgerOf(1_000);
    for (let i = 0; i < 20_000; i++) {
      const share = ledger.share(`spoofed ${i}`);
      const held = new Held(1);
      share.add(held);
      share.remove(held);
    }
    assert.ok([...ledger.shares].length < 2_000);
    assert.equal(ledger.usedBytes, 0);
  });

  it('reserves room for files apart from clients, and gives it back once', () => {
    const ledger = ledgerOf(100);
    const first = ledger.reserveFile(60);
    assert.equal(ledger.reserveFile(60), undefined);
    assert.equal(ledger.fileRoomBytes, 40);
    first?.release();
    first?.release();
    assert.equal(ledger.fileRoomBytes, 100);
  });
});

describe('room for one more query', () => {
  const [dead, healthy] = [{}, {}];

  it('is refused to the client that holds the most, unless its query waits for another name', () => {
    const ledger = ledgerOf(100);
    const share = ledger.share('flood');
    for (let i = 0; i < 9; i++) share.add({ ...new Held(10), lane: dead, giveWay: assert.fail });
    assert.equal(share.admits(dead, 10), true);
    share.add({ ...new Held(10), lane: dead, giveWay: () => undefined });
    assert.equal(share.admits(dead, 10), false);
    assert.equal(share.admits(healthy, 10), true);
  });

  it('exists for any other client, at the cost of the one that holds the most', () => {
    const ledger = ledgerOf(100);
    hold(ledger.share('flood'), 9, 10);
    hold(ledger.share('quiet'), 1, 10);
    assert.equal(ledger.share('quiet').admits(dead, 10), true);
    assert.equal(ledger.share('new').admits(dead, 10), true);
  });

  it('exists for a new client beside many that hold as much', () => {
    const ledger = ledgerOf(100);
    for (let i = 0; i < 10; i++) hold(ledger.share(`client ${i}`), 1, 10);
    assert.equal(ledger.share('new').admits(dead, 10), true);
  });

  it('is not taken in turn by clients with equal shares', () => {
    // 35 places for 10 clients: some have one more than others.
    const ledger = ledgerOf(350);
    let [gaveWay, refused] = [0, 0];
    const giveWay = (): void => void gaveWay++;
    for (let i = 0; i < 1_000; i++) {
      const share = ledger.share(`client ${i % 10}`);
      if (share.admits(dead, 10)) share.add({ ...new Held(10), lane: dead, giveWay });
      else refused++;
    }
    assert.deepEqual({ gaveWay, refused }, { gaveWay: 0, refused: 965 });
  });

  it('is not taken in turn by lanes of one client', () => {
    const ledger = ledgerOf(100);
    const share = ledger.share('flood');
    let gaveWay = 0;
    const giveWay = (): void => void gaveWay++;
    for (let i = 0; i < 1_000; i++) {
      const lane = i % 3 === 0 ? dead : healthy;
      if (share.admits(lane, 10)) share.add({ ...new Held(10), lane, giveWay });
    }
    assert.ok(gaveWay <= 5, `${gaveWay} gave way`);
  });

  it('within a client, the kind of memory with the most entries is dropped first', () => {
    const ledger = ledgerOf(100);
    const share = ledger.share('a');
    const gaveWay: string[] = [];
    const add = (lane: object, name: string): void =>
      share.add({ kind: 'query', heldBytes: 10, lane, giveWay: () => void gaveWay.push(name) });
    add(healthy, 'healthy');
    for (let i = 0; i < 9; i++) add(dead, `dead ${i}`);
    add(healthy, 'healthy, too');
    assert.deepEqual(gaveWay, ['dead 0']);
  });
});
