/** What runs when nobody says what: `nodens` on a laptop. */

/** File name of the embedded Corefile in messages. */
export const DEFAULT_COREFILE_NAME = 'built-in Corefile';

/**
 * Unprivileged and on the loopback only: answers on 127.0.0.1:1053 from a cache that outlives its upstreams, pages for
 * people and probes on 127.0.0.1:9253. `loop` because resolv.conf may lead, through a stub resolver, back to us.
 */
export const DEFAULT_COREFILE = `.:1053 {
    bind 127.0.0.1
    errors
    loop
    cache {
        serve_stale 24h verify 200ms
    }
    forward . /etc/resolv.conf
    prometheus 127.0.0.1:9253
    health 127.0.0.1:9253
    ready 127.0.0.1:9253
}
`;
