/** Answers the requests of the admin socket. */
import { UsageError } from '../base/errors.ts';
import { type CacheCommandParts, cacheFlush, cacheGet, cacheStats } from './cache-commands.ts';
import type { Output, RequestHandler } from './connection.ts';
import { type ExplainParts, explainCommand } from './explain/explain-command.ts';
import type { AdminRequest, CacheSelection } from './protocol.ts';
import { type QueryCommandParts, queryCommand } from './query-command.ts';
import type { Status } from './status.ts';
import { type ObserveParts, observeCommand } from './watch/observe-command.ts';
import { type TopParts, topCommand } from './watch/top-command.ts';

/** What the commands need. */
export interface OperatorParts {
  readonly cache: CacheCommandParts;
  readonly status: Status;
  readonly query: QueryCommandParts;
  readonly observe: ObserveParts;
  readonly top: TopParts;
  readonly explain: ExplainParts;
  /** The last lines of the log, oldest first. */
  readonly recentLines: () => readonly string[];
}

/** The handler for every connection of the admin socket. */
export function operatorHandler(parts: OperatorParts): RequestHandler {
  return async (request, out) => await answer(parts, request, out);
}

async function answer(parts: OperatorParts, request: AdminRequest, out: Output): Promise<void> {
  switch (request.command) {
    case 'status':
      return await out.write(await parts.status.line());
    case 'cache-stats':
      return await out.write(await cacheStats(parts.cache));
    case 'cache-get':
      return await cacheGet(parts.cache, selection(request), out);
    case 'cache-flush':
      return await cacheFlush(parts.cache, selection(request), out);
    case 'query':
      return await queryCommand(parts.query, request, out);
    case 'observe':
      return await observeCommand(parts.observe, request, out);
    case 'top':
      return await topCommand(parts.top, request, out);
    case 'log':
      for (const text of parts.recentLines()) await out.write({ line: 'log', text });
      return;
    case 'explain':
      return await explainCommand(parts.explain, request, out);
    default:
      throw unknownCommand(request);
  }
}

function unknownCommand({ command }: { readonly command: string }): UsageError {
  const known = JSON.stringify(command);
  return new UsageError(
    `this agent does not know the command ${known}: is it older than the program that asks?`,
  );
}

/** A request comes from outside: a flush must not take everything because a field is missing. */
function selection({ select }: { readonly select?: CacheSelection }): CacheSelection {
  if (select === undefined || select === null) throw new UsageError('nothing is selected');
  if ('all' in select) {
    if (select.all === true) return { all: true };
    throw new UsageError('"all" must be true');
  }
  if ('zone' in select) return { zone: select.zone };
  return { name: select.name, type: select.type };
}
