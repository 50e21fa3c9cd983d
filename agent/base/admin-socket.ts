/** Where the agent's admin socket is: the agent listens there, and commands such as `nodens status` connect. */

/** Environment variable with the path, for the agent and for commands. An empty value means that there is no socket. */
export const ADMIN_SOCKET_ENV = 'NODENS_ADMIN_SOCKET';

const NAME = 'admin.sock';

/**
 * Default paths, best first: the pod's run folder, the part of it that init gives to an agent without root (drop-in), and
 * the user's own run folder (XDG Base Directory Specification). There is none in folders that every user can write.
 */
export function defaultAdminSockets(env: Readonly<Record<string, string | undefined>>): string[] {
  const own = env.XDG_RUNTIME_DIR;
  return [
    `/run/nodens/${NAME}`,
    `/run/nodens/agent/${NAME}`,
    ...(own?.startsWith('/') === true ? [`${own}/nodens/${NAME}`] : []),
  ];
}
