import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Ask } from '../../../../init/doctor/ask.ts';
import { gather } from '../../../../init/doctor/gather.ts';
import { doctorOptionsFrom } from '../../../../init/doctor/options.ts';
import { conntrackIn, udpSocketsIn } from '../../../../init/node/proc.ts';
import type { System } from '../../../../init/node/system.ts';

const FILES: Readonly<Record<string, string>> = {
  '/etc/resolv.conf': 'nameserver 192.0.2.53\nnameserver 10.96.0.10\n',
  '/proc/net/stat/nf_conntrack':
    'entries  drop insert_failed\n00000005 00000001 0000000a\n00000005 00000000 00000006\n',
  '/proc/sys/net/netfilter/nf_conntrack_count': '5\n',
  '/proc/sys/net/netfilter/nf_conntrack_max': '262144\n',
  '/proc/net/udp':
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n' +
    ' 1: 0A14FEA9:0035 00000000:0000 07 00000000:00000300 00:00000000 00000000 65532 0 1 2 0 12\n',
};
const ADDRESSES = JSON.stringify([
  {
    ifname: 'lo',
    addr_info: [
      { local: '127.0.0.1', scope: 'host', label: 'lo' },
      { local: '169.254.20.10', scope: 'host', label: 'lo:nodens' },
      { local: 'fd00::10', scope: 'global', deprecated: true },
    ],
  },
  { ifname: 'nodelocaldns', addr_info: [{ local: '10.96.0.10', scope: 'global' }] },
]);
const NFT =
  'table inet nodens_standing_main {\n\tchain output {\n\t\ttype filter hook output priority raw; policy accept;\n' +
  '\t\tudp sport 53 ip6 saddr { fd00::10 } notrack comment "nodens:reply-udp6:00000001"\n\t}\n}\n';

const ran: string[] = [];
function node(files = FILES): System {
  return {
    read: async (path) => files[path],
    run: async (program, args) => {
      ran.push([program, ...args].join(' '));
      if (program === 'nft')
        return args[1] === 'tables' ? 'table inet nodens_standing_main\n' : NFT;
      if (program === 'ip') return ADDRESSES;
      throw new Error(`${program} must not be run here`);
    },
  };
}

/** /metrics of an agent that serves the Corefile on disk. */
const page = async (): Promise<string> => '# HELP nodens_config_valid x\nnodens_config_valid 1\n';
const silent: Ask = async () => ({ error: 'timeout' });

describe('what the doctor gathers', () => {
  it('finds local IPs by marks and rules, and asks each server once per transport', async () => {
    const asked: string[] = [];
    const ask: Ask = async (transport, address, port, { name }) => {
      asked.push(`${name || '.'} ${address}:${port}/${transport}`);
      return { rcode: 0, text: undefined, ms: 0 };
    };
    const options = doctorOptionsFrom(['-kubedns=10.96.0.11'], { CLUSTER_DOMAIN: 'k8s.test' });
    const facts = await gather(options, node(), ask, page);
    assert.deepEqual(facts.localIps, ['169.254.20.10', 'fd00::10', '10.96.0.10']);
    const both = (what: string): string[] => [`${what}/udp`, `${what}/tcp`];
    assert.deepEqual(asked, [
      ...both('instance.nodens. 169.254.20.10:53'),
      ...both('instance.nodens. fd00::10:53'),
      ...both('instance.nodens. 10.96.0.10:53'),
      ...both('kubernetes.default.svc.k8s.test 10.96.0.11:53'),
      ...both('. 192.0.2.53:53'),
    ]);
    assert.deepEqual(facts.conntrack, {
      value: { count: 5, max: 262_144, insertFailed: 16, drop: 1 },
    });
  });

  it('lists local IPs of earlier settings separately', async () => {
    const rules = NFT.replace('nodens:reply', 'nodens:left-reply');
    const left: System = {
      ...node(),
      run: (program, args) =>
        program === 'nft' && args[1] !== 'tables'
          ? Promise.resolve(rules)
          : node().run(program, args),
    };
    const facts = await gather(doctorOptionsFrom([], {}), left, silent);
    assert.deepEqual(facts.leftIps, ['fd00::10']);
    assert.deepEqual(facts.localIps, ['169.254.20.10', '10.96.0.10']);
    const reported = await gather(doctorOptionsFrom(['--localip', 'fd00::10'], {}), left, silent);
    assert.deepEqual([reported.localIps, reported.leftIps], [['fd00::10'], []]);
  });

  it('reads legacy tables only if there are some', async () => {
    ran.length = 0;
    const options = doctorOptionsFrom([], {});
    await gather(options, node(), silent, page);
    assert.deepEqual(
      ran.filter((line) => line.includes('iptables')),
      [],
    );
    const tables = { ...FILES, '/proc/net/ip_tables_names': 'raw\n' };
    const { rules } = await gather(options, node(tables), silent, page);
    assert.deepEqual(rules, { unseen: 'iptables-legacy-save must not be run here' });
    assert.ok(ran.includes('iptables-legacy-save'));
  });

  it('finds the address of kube-dns in the rules of kube-proxy, in each mode', async () => {
    const portal = (ip: string, name: string): string =>
      `-A KUBE-SERVICES -d ${ip}/32 -p udp -m comment --comment "kube-system/${name}:dns cluster IP" -m udp -j KUBE-SVC-X\n`;
    const mapped = (ip: string, name: string): string =>
      `\t\telements = { ${ip} . udp . 53 : goto service-ABCDEFGH-kube-system/${name}/udp/dns,\n`;
    const asked = async (nft: string, saved: string, env = {}): Promise<readonly string[]> => {
      const system: System = {
        read: node().read,
        run: async (program, args) => {
          if (program === 'nft')
            return args[1] === 'tables'
              ? 'table inet nodens_standing_main\ntable ip nat\n'
              : NFT + nft;
          return program === 'ip' ? ADDRESSES : program === 'iptables-nft-save' ? saved : '';
        },
      };
      return (await gather(doctorOptionsFrom([], env), system, silent, page)).kubeDns;
    };
    const vip = { KUBE_DNS_SERVICE_HOST: '10.96.0.10' };
    const chain = '\tchain KUBE-SERVICES {\n\t}\n';
    assert.deepEqual(await asked(mapped('10.96.0.11', 'nodens-upstream'), ''), ['10.96.0.11']);
    assert.deepEqual(await asked(mapped('fd00:96::11', 'nodens-upstream'), ''), ['fd00:96::11']);
    const both = portal('10.96.0.10', 'kube-dns') + portal('10.96.0.12', 'kube-dns-upstream');
    assert.deepEqual(await asked(chain, both, vip), ['10.96.0.12']);
    assert.deepEqual(await asked(chain, portal('10.96.0.10', 'kube-dns'), vip), []);
    assert.deepEqual(await asked(chain, portal('10.96.0.99', 'kube-dns'), vip), ['10.96.0.99']);
    assert.deepEqual(await asked('', '', { KUBE_DNS_SERVICE_HOST: '10.96.0.77' }), ['10.96.0.77']);
    const reported = { ...vip, NODENS_UPSTREAM_SERVICE_HOST: '10.96.0.13' };
    assert.deepEqual(await asked(chain, both, reported), ['10.96.0.13']);
    // The environment has one address of a Service, that of its first family.
    const other = mapped('fd00:96::11', 'nodens-upstream');
    assert.deepEqual(await asked(other, both, reported), ['10.96.0.13', 'fd00:96::11']);
  });

  it('finds kube-dns, too, if its Services have no endpoints', async () => {
    const unserved =
      '\t\telements = { 10.96.0.11 . udp . 53 comment "kube-system/nodens-upstream:dns" : goto reject-chain }\n';
    const system: System = {
      read: node().read,
      run: async (program, args) => {
        if (program !== 'nft') return ADDRESSES;
        return args[1] === 'tables' ? 'table ip kube-proxy\n' : unserved;
      },
    };
    const facts = await gather(doctorOptionsFrom([], {}), system, silent, page);
    assert.deepEqual(facts.kubeDns, ['10.96.0.11']);
  });

  it('asks a slow server once more, and the faster reply counts', async () => {
    for (const [replies, expected] of [
      [[300, 4], 4],
      [[300, 500], 300],
      [[99], 99],
    ] as const) {
      let asked = 0;
      const ask: Ask = async (transport, server) => {
        if (transport !== 'tcp' || server !== '10.96.0.11') return { error: 'timeout' };
        return { rcode: 0, text: undefined, ms: replies[asked++] ?? 0 };
      };
      const known = doctorOptionsFrom(['--kubedns', '10.96.0.11'], {});
      const { upstreams } = await gather(known, node(), ask, page);
      const reply = upstreams.find(({ transport }) => transport === 'tcp')?.reply;
      assert.deepEqual(
        [asked, reply],
        [replies.length, { rcode: 0, text: undefined, ms: expected }],
      );
    }
  });

  it('asks the agent whether it serves the Corefile on disk, and how its upstreams are', async (t) => {
    let ups: unknown;
    let body = '# TYPE nodens_config_valid gauge\nnodens_config_valid 0\n';
    const server = createHttpServer((request, response) => {
      response.writeHead(request.url === '/metrics' ? 200 : 404).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const asked = async () => {
      const options = doctorOptionsFrom(['--metrics', `127.0.0.1:${port}`], {});
      const { isConfigValid, agentUpstreams } = await gather(options, node(), silent);
      ups = agentUpstreams;
      return isConfigValid;
    };
    assert.deepEqual(await asked(), { value: false });
    assert.deepEqual(ups, { value: { count: 0, down: [] } });
    body =
      'nodens_config_valid 1\n' +
      'nodens_upstream_state{to="192.0.2.1:53",state="up"} 1\n' +
      'nodens_upstream_state{to="192.0.2.1:53",state="down"} 0\n' +
      'nodens_upstream_state{to="[2001:db8::1]:853",state="up"} 0\n' +
      'nodens_upstream_state{to="[2001:db8::1]:853",state="down"} 1\n';
    assert.deepEqual(await asked(), { value: true });
    assert.deepEqual(ups, { value: { count: 2, down: ['[2001:db8::1]:853'] } });
    body = 'coredns_build_info 1\n';
    const url = `http://127.0.0.1:${port}/metrics`;
    assert.deepEqual(await asked(), { unseen: `${url} does not show nodens_config_valid` });
    await new Promise((resolve) => server.close(resolve));
    const refused = await asked();
    assert.ok('unseen' in refused && refused.unseen.includes('ECONNREFUSED'));
  });

  it('asks init on its control socket, and sends it nothing', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'nodens-doctor-'));
    const path = join(folder, 'control.sock');
    let received = '';
    const status = { type: 'status', state: 'withdrawn', hang: { untilTrustedMs: 7_000 } };
    const server = createServer((socket) => {
      socket
        .on('error', () => undefined)
        .on('data', (chunk) => {
          received += chunk;
        });
      socket.write(`${JSON.stringify(status)}\n`);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    t.after(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    const { init } = await gather(doctorOptionsFrom(['--socket', path], {}), node(), silent, page);
    assert.deepEqual(init, { value: { state: 'withdrawn', untilTrustedMs: 7_000 } });
    assert.equal(received, '');
    const none = doctorOptionsFrom(['--socket', `${path}.none`], {});
    const missing = await gather(none, node(), silent, page);
    assert.ok('unseen' in missing.init && missing.init.unseen.includes('ENOENT'));
  });

  it('continues without files that it cannot read', async () => {
    const facts = await gather(doctorOptionsFrom([], {}), node({}), silent, page);
    assert.deepEqual(facts.resolvConf, { unseen: '/etc/resolv.conf is not there' });
    assert.deepEqual(facts.sockets, { unseen: '/proc/net/udp is not there' });
  });
});

describe('tables of /proc', () => {
  it('udpSocketsIn reads the sockets of both families', () => {
    assert.deepEqual(udpSocketsIn(FILES['/proc/net/udp'] as string, 4), [
      { address: '169.254.20.10', port: 53, family: 4, waitingBytes: 768, drops: 12 },
    ]);
    const v6 = 'head\n 1: 000000FD000000000000000010000000:0035 0:0 07 0:0 00:0 0 0 0 1 2 0 0\n';
    assert.equal(udpSocketsIn(v6, 6)[0]?.address, 'fd00::10');
    assert.deepEqual(udpSocketsIn('', 4), []);
  });

  it('conntrackIn returns undefined for another format', () => {
    assert.equal(conntrackIn('entries searched\n00000005 00000000\n', '5', '10'), undefined);
    assert.equal(conntrackIn('', '5', '10'), undefined);
  });
});
