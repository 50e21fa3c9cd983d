import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { doctorFiles } from '../../../../agent/cli/support/doctor-parts.ts';

const NFT = `table inet nodens_query {
\tchain pre {
\t\tudp dport 53 notrack
\t}
}
table ip kube-proxy {
\tmap service-ips { 10.96.0.1 . tcp . 443 : goto service-ABC-bank/vault/tcp/x }
}
`;
const IPTABLES = `*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.10/32 -p udp -m comment --comment "nodens:query-pod-udp4:0123abcd" -j CT --notrack
COMMIT
*nat
-A KUBE-SERVICES -d 10.96.0.1/32 -m comment --comment "bank/vault cluster IP" -j KUBE-SVC-X
`;

describe('what the doctor found, in a bug report', () => {
  it('has the rules of nodens, and none that name Services', () => {
    const findings = [{ id: 'agent', verdict: 'fail', message: 'hangs', remedy: 'look' }];
    const rules = { value: { nft: NFT, iptables: IPTABLES, legacy: '' } };
    const files = new Map(
      doctorFiles(JSON.stringify({ findings, facts: { rules, port: 53 } })).map(
        ({ path, text }) => [path, text],
      ),
    );
    assert.match(files.get('rules.txt') ?? '', /udp dport 53 notrack\n\t}\n}/);
    assert.match(files.get('rules.txt') ?? '', /\*raw\n.*nodens:query-pod-udp4/);
    assert.equal(files.get('doctor.txt'), 'fail   agent: hangs\n      look\n');
    for (const text of files.values()) assert.ok(!text.includes('vault'), text);
    assert.equal(JSON.parse(files.get('doctor.json') ?? '').facts.port, 53);
  });

  it('is kept as it is where it cannot be read', () => {
    assert.deepEqual(doctorFiles('no JSON'), [{ path: 'doctor.txt', text: 'no JSON' }]);
  });
});
