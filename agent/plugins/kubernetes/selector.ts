/** Label selectors (Kubernetes, "Labels and Selectors"), checked here so that a wrong one is refused with its line. */
import { badValue, minArgs } from '../../config/corefile/args.ts';
import type { Line, Token } from '../../config/corefile/types.ts';

const NAME = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?';
const KEY = `(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?${NAME}`;
const VALUE = `(?:${NAME})?`;
const REQUIREMENT = new RegExp(
  `^(?:!?\\s*${KEY}|${KEY}\\s*(?:=|==|!=)\\s*${VALUE}|` +
    `${KEY}\\s+(?:in|notin)\\s*\\(\\s*${VALUE}(?:\\s*,\\s*${VALUE})*\\s*\\))$`,
);

/** The selector that the words of `option` make together, as the API server takes it. Throws ConfigError. */
export function selectorArg(option: Line): string {
  const words = minArgs(option, 1);
  const text = words.map((word) => word.text).join(' ');
  // Commas between parentheses separate values, all others requirements.
  for (const requirement of text.split(/,(?![^(]*\))/)) {
    if (!REQUIREMENT.test(requirement.trim()))
      throw badValue(
        { ...(words[0] as Token), text },
        'a label selector like app=web,tier!=back or app in (web, api)',
      );
  }
  return text;
}
