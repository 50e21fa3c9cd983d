/** The configuration of `nodens` without any settings, as on a laptop. */

/** File name of the embedded Corefile in messages. */
export const DEFAULT_COREFILE_NAME = 'built-in Corefile';

/**
 * Unprivileged and on the loopback only: answers on 127.0.0.1:1053 with `serve_stale`, HTTP endpoints on
 * 127.0.0.1:9253. `loop`, because resolv.conf may point back to the agent through a stub resolver.
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
