/** A ledger for tests: with all the room in the world, or with room for so many bytes of clients. */
import { MemoryLedger } from '../../agent/base/clients/memory-ledger.ts';

export function ledgerWith(clientBudgetBytes: number = Number.MAX_SAFE_INTEGER): MemoryLedger {
  return new MemoryLedger({ clientBudgetBytes, fileBudgetBytes: Number.MAX_SAFE_INTEGER });
}
