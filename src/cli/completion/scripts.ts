/**
 * What shells read to complete dugout's command lines. The scripts know nothing of commands: at each Tab they ask the
 * program that stands on the line.
 *
 * @module
 */

/** Shells that there is a script for. */
export const SHELLS: readonly string[] = ["bash", "zsh", "fish"];

const BASH = `# bash completion for dugout: source <(dugout completion bash)
_dugout() {
  local line=\${COMP_LINE:0:COMP_POINT} words=() candidate cut=
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local current=\${words[\${#words[@]}-1]}
  # bash puts what it gets behind the last of these characters
  if [[ $current == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]]; then
    cut=\${current%"\${current##*[=:]}"}
  fi
  COMPREPLY=()
  while IFS= read -r candidate; do
    case $candidate in
      :files)
        compopt -o filenames 2>/dev/null
        while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "\${current#"$cut"}")
        ;;
      :directories)
        compopt -o filenames 2>/dev/null
        while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -d -- "\${current#"$cut"}")
        ;;
      *)
        candidate=\${candidate%%$'\\t'*}
        COMPREPLY+=("\${candidate#"$cut"}")
        ;;
    esac
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
  # more is to be typed behind these
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _dugout dugout
`;

const ZSH = `#compdef dugout
# zsh completion for dugout: source <(dugout completion zsh), or as a file _dugout in a directory of $fpath
_dugout() {
  local line
  local -a found typed
  typed=("\${(@Q)words[1,CURRENT]}")
  for line in "\${(@f)$("\${typed[1]}" __complete "\${(@)typed[2,-1]}" 2>/dev/null)}"; do
    case $line in
      :files) _files ;;
      :directories) _files -/ ;;
      *$'\\t'*) found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}") ;;
      ?*) found+=("\${line//:/\\\\:}") ;;
    esac
  done
  (( \${#found} )) && _describe -t dugout dugout found
}
if [[ $funcstack[1] == _dugout ]]; then _dugout "$@"; else compdef _dugout dugout; fi
`;

const FISH = `# fish completion for dugout: dugout completion fish | source
function __dugout_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$current"
            case :directories
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end
complete -c dugout -f -a '(__dugout_complete)'
`;

const SCRIPTS: ReadonlyMap<string, string> = new Map([["bash", BASH], ["zsh", ZSH], ["fish", FISH]]);

/** The script for a shell; undefined where there is none. */
export function completionScript(shell: string): string | undefined {
  return SCRIPTS.get(shell);
}
