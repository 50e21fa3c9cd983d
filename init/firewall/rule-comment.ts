/**
 * Every rule of ours carries a comment that names it and hashes its text: what is in the kernel can then be compared
 * with the plan without parsing rules, whose printed form differs between versions.
 */
import { createHash } from 'node:crypto';

const PREFIX = 'nodens:';

/** `nodens:query-pod-udp4:1a2b3c4d`. */
export function ruleComment(id: string, text: string): string {
  return `${PREFIX}${id}:${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}

export function isRuleComment(comment: string | undefined): comment is string {
  return comment?.startsWith(PREFIX) ?? false;
}
