/** Completion for bash. */
import { type CommandWords, commandWords, type FlagWords, flagWords } from './words.ts';

/** The script; `eval "$(nodens completion bash)"`. A flag is completed with as many dashes as were typed. */
export function bashScript(): string {
  const commands = commandWords();
  const names = commands.map(({ command }) => command).join(' ');
  return `# bash completion of nodens: eval "$(nodens completion bash)"
_nodens() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local command=\${COMP_WORDS[1]} words='' flags='' files='' values='' paths=''
  case $command in
${commands.map(caseOf).join('\n')}
    *) ${settingsOf(flagWords('drop-in'))} ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words='${names}'; fi
  COMPREPLY=()
  case " $paths " in *" \${previous#-} "* | *" \${previous#--} "*)
    mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  case " $values " in *" \${previous#-} "* | *" \${previous#--} "*) return ;; esac
  case $current in
    --*) mapfile -t COMPREPLY < <(compgen -P -- -W "$flags" -- "\${current#--}") ;;
    -*) mapfile -t COMPREPLY < <(compgen -P - -W "$flags" -- "\${current#-}") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
      if [ -n "$files" ]; then
        mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
      fi ;;
  esac
}
complete -o filenames -F _nodens nodens
`;
}

function caseOf({ command, actions, takesFiles, flags }: CommandWords): string {
  const files = takesFiles ? ' files=1' : '';
  return `    ${command}) words='${actions.join(' ')}'${files} ${settingsOf(flags)} ;;`;
}

function settingsOf(flags: readonly FlagWords[]): string {
  const names = (some: readonly FlagWords[]): string => some.flatMap((one) => one.names).join(' ');
  const valued = flags.filter(({ value, isFile }) => value !== undefined && !isFile);
  const paths = flags.filter(({ isFile }) => isFile);
  return `flags='${names(flags)}' values='${names(valued)}' paths='${names(paths)}'`;
}
