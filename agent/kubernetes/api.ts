/** The process's way to the Kubernetes API. Costs nothing before the first `connect`: the client is loaded then. */
import type { KubernetesApi } from '../query/services/kubernetes.ts';
import type { ClientContext } from './client.ts';

/** `context.env` gives NODE_NAME and the address of the API server. */
export function createKubernetesApi(context: ClientContext): KubernetesApi {
  return {
    nodeName: context.env.NODE_NAME || undefined,
    connect: async (access) => {
      const { connectTo } = await import('./client.ts');
      return await connectTo(access, context);
    },
  };
}
