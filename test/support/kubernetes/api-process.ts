/** A scripted API server as a process of its own (`Helper`), on loopback of its namespace. */
import { ScriptedApi } from './scripted-api.ts';
import type { ScriptedObject } from './scripted-objects.ts';

/** `listen` is replied to with the URL, the others with `true`. */
export type ApiCommand =
  | { readonly do: 'listen' }
  | {
      readonly do: 'change';
      readonly path: string;
      readonly put?: readonly ScriptedObject[];
      readonly delete?: readonly ScriptedObject[];
    };

const api = new ScriptedApi();

process.on('message', (command: ApiCommand) => {
  if (command.do === 'listen') {
    void api.listen().then((url) => process.send?.(url));
    return;
  }
  for (const object of command.delete ?? []) api.delete(command.path, object);
  for (const object of command.put ?? []) api.put(command.path, object);
  process.send?.(true);
});
process.on('disconnect', () => process.exit());
