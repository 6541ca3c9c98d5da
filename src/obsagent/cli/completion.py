"""Print a script that teaches a shell to complete obsagent's commands, options and queries.

    eval "$(obsagent completion bash)"                                       in ~/.bashrc
    obsagent completion zsh > "${fpath[1]}/_obsagent"                        or eval, in ~/.zshrc behind compinit
    obsagent completion fish > ~/.config/fish/completions/obsagent.fish

Inside `obsagent query`, metrics, labels and their values come from the running agent; without one there is the
grammar.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

BASH = r"""# Completion of obsagent for bash.
_obsagent() {
    local IFS=$'\n' found
    found=$(obsagent complete bash "$COMP_POINT" "$COMP_LINE" 2>/dev/null)
    if [[ $? -eq 3 ]]; then
        compopt -o default
        return
    fi
    COMPREPLY=($found)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
}
complete -o nosort -F _obsagent obsagent 2>/dev/null || complete -F _obsagent obsagent
"""

ZSH = r"""#compdef obsagent
# Completion of obsagent for zsh.
_obsagent() {
    local found line
    local -a whole open shown_whole shown_open
    found=$(obsagent complete zsh "${(@Q)words[1,CURRENT-1]}" "$QIPREFIX$PREFIX" 2>/dev/null)
    if (( $? == 3 )); then
        _files
        return
    fi
    for line in "${(@f)found}"; do
        local text=${line%%$'\t'*} says=${line#*$'\t'}
        [[ -n $text ]] || continue
        local shown=$text${says:+  -- $says}
        if [[ $text == *= ]]; then
            open+=("$text") shown_open+=("$shown")
        else
            whole+=("$text") shown_whole+=("$shown")
        fi
    done
    (( $#whole )) && compadd -U -V words -l -d shown_whole -- "${whole[@]}"
    (( $#open )) && compadd -U -V labels -l -d shown_open -S '' -- "${open[@]}"
}
if [[ $funcstack[1] == _obsagent ]]; then
    _obsagent "$@"
else
    compdef _obsagent obsagent
fi
"""

FISH = r"""# Completion of obsagent for fish.
function __obsagent_complete
    obsagent complete fish (commandline -opc) (commandline -ct) 2>/dev/null
    if test $status -eq 3
        __fish_complete_path (commandline -ct)
    end
end
complete -c obsagent -f -k -a '(__obsagent_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_arguments(parser: ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SCRIPTS, help="the shell that is to complete")


def run(args: Namespace) -> int:
    """Prints the script on stdout."""
    sys.stdout.write(SCRIPTS[args.shell])
    return 0
