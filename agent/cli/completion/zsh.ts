/** Completion for zsh. */
import { type CommandWords, commandWords, type FlagWords, flagWords } from './words.ts';

/** The script; as a file `_nodens` in a folder of $fpath. */
export function zshScript(): string {
  const commands = commandWords();
  const list = commands.map(({ command, summary }) => `    ${quoted(`${command}:${summary}`)}`);
  return `#compdef nodens
# zsh completion of nodens: nodens completion zsh > ~/.zfunc/_nodens, with fpath+=(~/.zfunc)
_nodens() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  case $words[2] in
${commands.map(caseOf).join('\n')}
    *) _arguments \\
${argumentsOf(flagWords('drop-in'), undefined)} ;;
  esac
}
_nodens "$@"
`;
}

function caseOf({ command, actions, takesFiles, flags }: CommandWords): string {
  const rest = takesFiles ? '_files' : actions.length > 0 ? `(${actions.join(' ')})` : undefined;
  return `    ${command}) shift words; (( CURRENT-- )); _arguments \\\n${argumentsOf(flags, rest)} ;;`;
}

function argumentsOf(flags: readonly FlagWords[], rest: string | undefined): string {
  const specs = flags.flatMap(({ names, help, value, isFile }) =>
    names.map((name) => {
      const text = help.replace(/[[\]\\:]/g, '\\$&');
      const argument = value === undefined ? '' : `:${value}:${isFile ? '_files' : ''}`;
      return `-${name}[${text}]${argument}`;
    }),
  );
  const words = rest === undefined ? [] : [`*: :${rest}`];
  return [...specs, ...words].map((spec) => `      ${quoted(spec)}`).join(' \\\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
