/**
 * Every rule of ours has a comment with its name and a hash of its text. So init can compare the kernel's rules with the
 * plan without parsing them: programs of different versions print them differently.
 */
import { createHash } from 'node:crypto';

/** What the comments of our rules begin with. */
export const OWN_COMMENT = 'nodens:';

/** `nodens:query-pod-udp4:1a2b3c4d`. */
export function ruleComment(id: string, text: string): string {
  return `${OWN_COMMENT}${id}:${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}

/** Whether any version or instance of nodens wrote the rule; the hash is not checked. */
export function isRuleComment(comment: string | undefined): comment is string {
  return comment?.startsWith(OWN_COMMENT) ?? false;
}
