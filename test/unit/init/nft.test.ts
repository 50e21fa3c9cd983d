import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_RULES, ReadBackError } from '../../../init/backend.ts';
import { NftTables, nftLine, nftTag } from '../../../init/nft.ts';
import { NftAccepts } from '../../../init/nft-accept.ts';
import { planOf, type Rule, whileAlive } from '../../../init/plan.ts';
import { type Call, failure, fakeSystem, PLAN_BASICS, type Script } from './fake-system.ts';

const { rules } = planOf({
  localIps: ['169.254.20.10', 'fd00::a'],
  ...PLAN_BASICS,
});

/** What `nft list` says of a table that holds these rules. */
function listing(table: string, list: readonly Rule[]): string {
  const hooks = Object.entries(Object.groupBy(list, (rule) => rule.hook));
  const chains = hooks.map(([hook, ofHook]) => {
    const lines = ofHook.map(
      (rule) => `\t\tudp dport 53 {\n\t\t 1.2.3.4 } comment "${nftTag(rule)}" # handle 7\n`,
    );
    const base = `\t\ttype filter hook ${hook} priority -300; policy accept;\n`;
    return `\tchain ${hook} { # handle 1\n${base}${lines.join('')}\t}\n\n`;
  });
  return `table inet ${table} { # handle 2\n${chains.join('')}}\n`;
}

const absent = (command: string) => failure(command, 'Error: No such file or directory\n');

/** A kernel that holds what the tables' rules are here, and takes on all of `rules` when written to. */
function kernel(held: { query: readonly Rule[]; standing: readonly Rule[] }): Script {
  let state = held;
  return (command) => {
    if (command === 'nft -f -') state = rules;
    for (const part of ['query', 'standing'] as const)
      if (command === `nft -a -y -t list table inet nodens_${part}_main`)
        return state[part].length === 0
          ? absent(command)
          : listing(`nodens_${part}_main`, state[part]);
    return undefined;
  };
}

function writes(calls: readonly Call[]): string[] {
  return calls.filter(({ command }) => command === 'nft -f -').map(({ input }) => input);
}

describe('nft lines', () => {
  const line = (id: string): string =>
    nftLine([...rules.query, ...rules.standing, ...rules.accept].find((r) => r.id === id) as Rule);

  it('test the port first, then the address, then the socket', () => {
    assert.match(
      line('query-pod-udp4'),
      /^udp dport 53 ip daddr { 169\.254\.20\.10 } socket wildcard 0 counter notrack comment "nodens:query-pod-udp4:[0-9a-f]{8}"$/,
    );
    assert.match(
      line('query-pod-tcp6'),
      /^tcp dport 53 ip6 daddr { fd00::a } tcp flags & \(fin \| syn \| rst \| ack\) == syn meta mark & 0x1000 == 0x1000 socket transparent 0 counter notrack /,
    );
    assert.match(
      line('query-host-udp4'),
      /^udp dport 53 ip daddr { 169.254.20.10 } counter notrack/,
    );
    assert.match(line('reply-tcp4'), /^tcp sport 53 ip saddr { 169.254.20.10 } counter notrack/);
    assert.match(line('accept-dns-in-reply-udp4'), /iifname "lo" counter accept/);
  });
});

describe('nft lines of queries that need an agent alive', () => {
  const { query } = whileAlive(rules, 0x40);
  const line = (id: string): string => nftLine(query.find((rule) => rule.id === id) as Rule);

  it('ask for its mark after port and address, before the socket; over TCP for both marks at once', () => {
    assert.match(
      line('query-pod-udp4'),
      /^udp dport 53 ip daddr { 169\.254\.20\.10 } meta mark & 0x40 == 0x40 socket wildcard 0 counter/,
    );
    assert.match(line('query-host-tcp6'), /== syn meta mark & 0x1040 == 0x1040 counter notrack/);
    for (const rule of query) {
      const before = nftTag(rules.query.find(({ id }) => id === rule.id) as Rule);
      assert.notEqual(nftTag(rule), before, 'a rule without the mark is told from one with it');
    }
  });
});

describe('nft tables', () => {
  it('what is missing goes in as one transaction and is read back', async () => {
    const { system, calls } = fakeSystem(kernel({ query: [], standing: [] }));
    assert.equal(await new NftTables(system.run, undefined).apply(rules), true);
    const [script = '', ...others] = writes(calls);
    assert.equal(others.length, 0);
    assert.match(
      script,
      /^add table inet nodens_query_main\ndelete table inet nodens_query_main\n/,
    );
    assert.match(
      script,
      /table inet nodens_standing_main {\n {2}chain declared_[0-9a-f]{8} {\n {2}}\n {2}chain output {/,
    );
    assert.match(calls.at(-1)?.command ?? '', /list table inet nodens_standing_main/);
  });

  it('what is right is left alone', async () => {
    const { system, calls } = fakeSystem(kernel(rules));
    assert.equal(await new NftTables(system.run, undefined).apply(rules), false);
    assert.deepEqual(writes(calls), []);
  });

  it('only the table that is wrong is replaced', async () => {
    const { system, calls } = fakeSystem(kernel({ ...rules, standing: rules.standing.slice(1) }));
    await new NftTables(system.run, undefined).apply(rules);
    assert.doesNotMatch(writes(calls).join(), /query/);
  });

  it('order matters: rules in another order are put right', async () => {
    const { system, calls } = fakeSystem(kernel({ ...rules, query: rules.query.toReversed() }));
    await new NftTables(system.run, undefined).apply(rules);
    assert.equal(writes(calls).length, 1);
  });

  it('withdrawal deletes the query table in one transaction', async () => {
    let gone = false;
    const { system, calls } = fakeSystem((command) => {
      gone ||= command === 'nft -f -';
      if (command.endsWith('nodens_query_main'))
        return gone ? absent(command) : listing('nodens_query_main', rules.query);
      return command.endsWith('standing_main') ? listing('s', rules.standing) : undefined;
    });
    await new NftTables(system.run, undefined).apply({ ...rules, query: [] });
    assert.deepEqual(writes(calls), [
      'add table inet nodens_query_main\ndelete table inet nodens_query_main\n',
    ]);
  });

  it('a kernel that does not hold what it took is an error', async () => {
    const { system } = fakeSystem((command) => (command.includes('list') ? absent(command) : ''));
    await assert.rejects(new NftTables(system.run, undefined).apply(rules), ReadBackError);
  });

  it('other failures of listing are not taken for absence', async () => {
    const { system, calls } = fakeSystem((command) => failure(command, 'Operation not permitted'));
    await assert.rejects(
      new NftTables(system.run, undefined).apply(rules),
      /Operation not permitted/,
    );
    assert.deepEqual(writes(calls), []);
  });

  it('cleanup takes tables of any instance and of nobody else', async () => {
    const tables = 'table inet nodens_query_old\ntable inet fw\ntable ip nodens_x\n';
    const { system, calls } = fakeSystem((command) =>
      command === 'nft list tables' ? tables : '',
    );
    const removed = await new NftTables(system.run, undefined).removeAll();
    assert.deepEqual(removed, ['nft table inet nodens_query_old']);
    assert.deepEqual(writes(calls), [
      'add table inet nodens_query_old\ndelete table inet nodens_query_old\n',
    ]);
  });
});

describe('nft accepts', () => {
  const chain = (family: string, table: string, name: string, hook: string, policy: string) => ({
    chain: { family, table, name, type: 'filter', hook, prio: 0, policy },
  });

  /** Chains of a node, and the comments of rules inside them. */
  function node(
    chains: ReturnType<typeof chain>[],
    comments: Readonly<Record<string, readonly string[]>>,
  ): Script {
    return (command) => {
      if (command === 'nft -j list chains') return JSON.stringify({ nftables: chains });
      const name = /^nft -j list chain (.*)$/.exec(command)?.[1];
      if (name === undefined) return undefined;
      const list = (comments[name] ?? []).map((comment, handle) => ({ rule: { handle, comment } }));
      return JSON.stringify({ nftables: list });
    };
  }

  it('looks neither at our own tables nor at those of iptables', async () => {
    const { system, calls } = fakeSystem(
      node(
        [
          chain('inet', 'nodens_standing_main', 'output', 'output', 'accept'),
          chain('ip', 'filter', 'INPUT', 'input', 'drop'),
          chain('bridge', 'b', 'in', 'input', 'drop'),
          chain('inet', 'fw', 'fwd', 'forward', 'drop'),
        ],
        {},
      ),
    );
    assert.equal(await new NftAccepts(system.run).apply(rules), false);
    assert.equal(calls.length, 1);
  });

  it('inserts where the policy drops, rules of the chain family only', async () => {
    const wanted = rules.accept.filter((r) => r.hook === 'input' && r.family === 6);
    let written = false;
    const chains = [chain('ip6', 'fw', 'in', 'input', 'drop')];
    const { system, calls } = fakeSystem((command, input) => {
      written ||= command === 'nft -f -';
      return node(chains, { 'ip6 fw in': written ? wanted.map(nftTag) : ['theirs'] })(
        command,
        input,
      );
    });
    assert.equal(await new NftAccepts(system.run).apply(rules), true);
    const lines = writes(calls).join('').trim().split('\n');
    assert.equal(lines.length, wanted.length);
    for (const line of lines)
      assert.match(line, /^insert rule ip6 fw in .*fd00::a.* accept comment/);
  });

  it('takes them back where the policy does not drop any more', async () => {
    let written = false;
    const chains = [chain('inet', 'fw', 'in', 'input', 'accept')];
    const { system, calls } = fakeSystem((command, input) => {
      written ||= command === 'nft -f -';
      return node(chains, { 'inet fw in': written ? ['theirs'] : ['theirs', 'nodens:x:y'] })(
        command,
        input,
      );
    });
    await new NftAccepts(system.run).apply(rules);
    assert.deepEqual(writes(calls), ['delete rule inet fw in handle 1\n']);
    assert.equal(await new NftAccepts(system.run).apply(NO_RULES), false);
  });

  it('of another version are replaced once, and then stand beside ours', async () => {
    const wanted = rules.accept.filter((rule) => rule.hook === 'input').map(nftTag);
    const present = { 'inet fw in': ['nodens:other:0'] };
    const chains = [chain('inet', 'fw', 'in', 'input', 'drop')];
    const { system, calls } = fakeSystem((command, input) => {
      if (command === 'nft -f -') present['inet fw in'] = wanted;
      return node(chains, present)(command, input);
    });
    const accepts = new NftAccepts(system.run);
    assert.equal(await accepts.apply(rules), true);
    assert.match(writes(calls)[0] ?? '', /^delete rule inet fw in handle 0\n/);
    present['inet fw in'] = [...wanted, 'nodens:other:0'];
    assert.equal(await accepts.apply(rules), false);
    present['inet fw in'] = ['nodens:other:0'];
    assert.equal(await accepts.apply(rules), true);
    assert.doesNotMatch(writes(calls)[1] ?? '', /delete/);
    chains[0] = chain('inet', 'fw', 'in', 'input', 'accept');
    await assert.rejects(accepts.apply(rules), ReadBackError);
    assert.match(writes(calls)[2] ?? '', /^(delete rule inet fw in handle \d+\n)+$/);
  });
});

it('ACCEPT rules that another version puts back while ours are put are no failure', async () => {
  const wanted = rules.accept.filter((rule) => rule.hook === 'input').map(nftTag);
  let comments = ['nodens:other:0'];
  const fw = { family: 'inet', table: 'fw', name: 'in', type: 'filter', hook: 'input', prio: 0 };
  const { system, calls } = fakeSystem((command) => {
    if (command === 'nft -f -') comments = [...wanted, 'nodens:other:0'];
    if (command === 'nft -j list chains')
      return JSON.stringify({ nftables: [{ chain: { ...fw, policy: 'drop' } }] });
    const list = comments.map((comment, handle) => ({ rule: { handle, comment } }));
    return JSON.stringify({ nftables: list });
  });
  assert.equal(await new NftAccepts(system.run).apply(rules), true);
  assert.equal(writes(calls).length, 1);
});

describe('nft tables with an owner', () => {
  /** A kernel with a holder beside it, which makes and drops the owned table. */
  function node() {
    const held = { owned: false };
    const lines: string[] = [];
    const { system } = fakeSystem((command) => {
      if (command.endsWith('inet nodens_query_one'))
        return held.owned ? listing('nodens_query_one', rules.query) : absent(command);
      if (command.endsWith('inet nodens_standing_main'))
        return listing('nodens_standing_main', rules.standing);
      return command.includes('list table') ? absent(command) : undefined;
    });
    const holder = {
      execute: async (line: string) => {
        lines.push(line);
        held.owned = line.includes('add chain');
      },
      drop: async () => {
        held.owned = false;
        lines.push('drop');
      },
    };
    return { held, lines, holder, nft: new NftTables(system.run, { holder, instance: 'one' }) };
  }

  it("are made in one line, and the host's rules are in them", async () => {
    const { lines, nft } = node();
    assert.equal(await nft.apply(rules), true);
    const [line = '', ...others] = lines;
    assert.deepEqual(others, [], 'never gone in between');
    const table = 'add table inet nodens_query_one { flags owner; }; ';
    assert.ok(
      line.startsWith(`${table}delete table inet nodens_query_one; ${table}add chain inet `),
    );
    assert.match(line, /; add rule inet nodens_query_one output .*query-host-udp4:/);
    assert.doesNotMatch(line, /\n/);
    assert.equal(await nft.apply(rules), false);
  });

  it('rules that die with the socket need none', async () => {
    const { lines, nft } = node();
    const guarded = { ...rules, query: rules.query.filter((rule) => rule.whileBound) };
    await assert.rejects(nft.apply(guarded), /nodens_query_main/);
    assert.deepEqual(lines, []);
  });

  it('release takes them away at once, with their holder', async () => {
    const { held, lines, nft } = node();
    await nft.apply(rules);
    await nft.release();
    assert.equal(held.owned, false);
    assert.equal(lines.at(-1), 'drop');
  });

  it('a line that a release has cut off is no failure, any other is', async () => {
    const { holder, nft } = node();
    const cutOff = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    holder.execute = () => {
      begun.resolve();
      return cutOff.promise;
    };
    const applied = nft.apply(rules);
    await begun.promise;
    await nft.release();
    cutOff.reject(failure('nft -i', 'dropped'));
    await applied;
    holder.execute = async () => {
      throw failure('nft -i', 'no answer');
    };
    await assert.rejects(nft.apply(rules), /no answer/);
  });

  it('what is applied while they are released does not come back', async () => {
    const { held, nft } = node();
    const applied = nft.apply(rules);
    await nft.release();
    await applied;
    assert.equal(held.owned, false);
  });
});
