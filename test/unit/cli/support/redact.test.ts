/** A bug report is published: what could open a door must not be in it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { redacted } from '../../../../agent/cli/support/redact.ts';

const SECRET = 'hunter2-hunter2';
const JWT = 'eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl';

describe('a bug report', () => {
  for (const text of [
    `dnstap tcp://user:${SECRET}@192.0.2.1:6000 full`,
    `dnstap tcp://${SECRET}@collector.example:6000`,
    `trace otlp https://otlp.example/v1/traces?api_key=${SECRET}&x=1`,
    `    headers X-Scope ${SECRET}`,
    `    token ${SECRET}`,
    `    bearer_token "${SECRET}" more`,
    `{"msg":"failed","authorization":"Basic ${SECRET}"}`,
    `{"accessToken": "with \\" quote ${SECRET}"}`,
    `Authorization: Bearer ${SECRET}`,
    `-api-token=${SECRET}`,
    `NODENS_PASSWORD=${SECRET}\n`,
    `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`,
    `-----BEGIN PRIVATE KEY-----\n${SECRET}`,
    `trace otlp http://user:p@${SECRET}@collector.example`,
    `trace otlp http://user:p'"${SECRET}@collector.example`,
    `trace otlp https://otlp.example/v1/traces?sig=${SECRET}`,
    `-api-token\n${SECRET}\n-x\n`,
    `["-api-token", "${SECRET}"]`,
    `{"tokens": ["x", "${SECRET}"]}`,
    `X-Api-Key: ${SECRET}`,
    `{"msg":"Authorization: Digest ${SECRET}"}`,
    JSON.stringify({ msg: JSON.stringify({ token: SECRET }) }),
    JSON.stringify({ msg: JSON.stringify({ msg: JSON.stringify({ token: `"${SECRET}` }) }) }),
    JSON.stringify({ msg: JSON.stringify({ token: `${SECRET} and more` }) }).slice(0, 45),
  ])
    it(`has no secret of ${JSON.stringify(text.slice(0, 40))}`, () => {
      assert.ok(!redacted(text, {}).includes(SECRET), redacted(text, {}));
    });

  it('has no token of a ServiceAccount, and no value of a secret variable', () => {
    assert.equal(redacted(`x ${JWT} y`, {}), 'x [removed] y');
    assert.equal(redacted(`forward . ${SECRET}`, { MY_SECRET: SECRET }), 'forward . [removed]');
  });

  it('leaves the fields beside a secret alone', () => {
    const text = '{"url":"http://a.example/","token":"x","to":"b@c.example","n":1}';
    assert.equal(redacted(text, {}), text.replace('"x"', '"[removed]"'));
  });

  it('takes no time for many empty lines', () => {
    const lines = '\n'.repeat(200_000);
    const { user } = process.cpuUsage();
    assert.equal(redacted(lines, {}), lines);
    // About 10 ms; in a time that grows with the square of the lines it would be minutes.
    assert.ok(process.cpuUsage().user - user < 5e6);
  });

  it('keeps what is needed', () => {
    const text = `cluster.local:53 {
    cache {
        serve_stale 1h
    }
    forward . tls://192.0.2.53 {
        tls_servername dns.example
        tls /etc/cert.pem /etc/key.pem
    }
    dnstap tcp://192.0.2.1:6000
}
nodens_cache_entries{server="dns://:53"} 7
{"level":"warn","event":"upstream-down","upstream":"192.0.2.53:853"}
`;
    assert.equal(redacted(text, { HOME: '/root' }), text);
  });
});
