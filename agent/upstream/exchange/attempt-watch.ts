/** Shows the attempts of all exchanges to those that look, such as `nodens query -trace`; costs nothing otherwise. */
import type { UpstreamProtocol, UpstreamQuestion } from '../../query/services/upstreams.ts';

/** An attempt that got a reply, failed, or is overdue. An overdue one may still get a reply later. */
export interface SeenAttempt {
  readonly question: UpstreamQuestion;
  /** `address:port`. */
  readonly upstream: string;
  readonly transport: UpstreamProtocol;
  readonly isHedge: boolean;
  readonly hasEdns: boolean;
  /** Time since it was sent, milliseconds. */
  readonly durationMs: number;
  /** Of a reply that can be read; undefined otherwise. */
  readonly rcode: number | undefined;
  /** Errno or kind of failure; undefined for a reply that can be read. */
  readonly failure: string | undefined;
}

type Look = (attempt: SeenAttempt) => void;

/** One for the process. */
export class AttemptWatch {
  readonly #looks = new Set<Look>();
  /** Undefined while there is nothing to call: then an attempt costs this one check. */
  seen: Look | undefined;

  /** Calls `look` for each attempt until the returned function is called. */
  add(look: Look): () => void {
    this.#looks.add(look);
    this.#update();
    return () => {
      this.#looks.delete(look);
      this.#update();
    };
  }

  #update(): void {
    const looks = [...this.#looks];
    this.seen =
      looks.length === 0
        ? undefined
        : (attempt) => {
            for (const look of looks) look(attempt);
          };
  }
}
