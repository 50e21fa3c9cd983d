/** A ledger for tests: without a limit, or with a budget in bytes for clients. */
import { MemoryLedger } from '../../agent/base/clients/memory-ledger.ts';

export function ledgerWith(clientBudgetBytes: number = Number.MAX_SAFE_INTEGER): MemoryLedger {
  return new MemoryLedger({ clientBudgetBytes, fileBudgetBytes: Number.MAX_SAFE_INTEGER });
}
