"""Completion for bash, zsh and fish, made from what the commands say of themselves.

`python -m sdserve.cli.completion DIRECTORY` writes the three files; packages are built with it. The names of
instances are looked up when they are asked for: they are those of the INI files, without the shared defaults.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdserve.cli.main import COMMANDS, parsers
from sdserve.config.files import DIRECTORY, SHARED

_INSTANCES = (
    f'for file in "${{SDSERVE_CONFIG_DIR:-{DIRECTORY}}}"/*.ini; do '
    f'case $file in */{SHARED}|*/\\*.ini) ;; *) file=${{file##*/}}; echo "${{file%.ini}}" ;; esac; done'
)
"""For a POSIX shell."""
_WITHOUT_INSTANCE = ("init",)
"""Whose first argument is the name of one that is not there yet."""

_Options = dict[str, list[argparse.Action]]


def bash() -> str:
    """Return the file for bash-completion."""
    cases = [
        f"        {name}) options='{' '.join(_words(actions))}' ;;" for name, actions in _options().items()
    ]
    lines = [
        "# bash completion for sdserve",
        "_sdserve_instances() {",
        f"    {_INSTANCES}",
        "}",
        "_sdserve() {",
        '    local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options=""',
        "    COMPREPLY=()",
        "    if [ $COMP_CWORD -eq 1 ]; then",
        f"        COMPREPLY=($(compgen -W '{' '.join(COMMANDS)} --help --version' -- \"$current\"))",
        "        return",
        "    fi",
        "    case $command in",
        *cases,
        "    esac",
        "    if [[ $current == -* ]]; then",
        '        COMPREPLY=($(compgen -W "$options" -- "$current"))',
        f"    elif [ $COMP_CWORD -eq 2 ] && [[ $command != @({'|'.join(_WITHOUT_INSTANCE)}) ]]; then",
        '        COMPREPLY=($(compgen -W "$(_sdserve_instances)" -- "$current") $(compgen -f -- "$current"))',
        "    else",
        '        COMPREPLY=($(compgen -f -- "$current"))',
        "    fi",
        "}",
        "complete -o filenames -F _sdserve sdserve",
        "",
    ]
    return "\n".join(lines)


def zsh() -> str:
    """Return the function `_sdserve` for zsh."""
    commands = [f"        {_quoted(f'{name}:{command.HELP}')}" for name, command in COMMANDS.items()]
    cases = []
    for name, actions in _options().items():
        first = "" if name in _WITHOUT_INSTANCE else " ':target:_sdserve_instances'"
        specs = [
            f"{_quoted(_zsh_spec(action, option))}"
            for action in actions
            for option in action.option_strings
            if option.startswith("--")
        ]
        cases.append(f"        {name}) _arguments{first} {' '.join(specs)} '*:file:_files' ;;")
    lines = [
        "#compdef sdserve",
        "_sdserve_instances() {",
        f'    local -a names=(${{(f)"$({_INSTANCES})"}})',
        "    _alternative 'instances:instance:compadd -a names' 'files:file:_files'",
        "}",
        "_sdserve() {",
        "    local -a commands=(",
        *commands,
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe command commands",
        "        return",
        "    fi",
        "    local command=$words[2]",
        "    shift words",
        "    (( CURRENT-- ))",
        "    case $command in",
        *cases,
        "    esac",
        "}",
        '_sdserve "$@"',
        "",
    ]
    return "\n".join(lines)


def fish() -> str:
    """Return the file for fish."""
    lines = [
        "# fish completion for sdserve",
        "function __sdserve_instances",
        f"    sh -c {_quoted(_INSTANCES)}",
        "end",
        "complete -c sdserve -n __fish_use_subcommand -f",
    ]
    for name, command in COMMANDS.items():
        lines.append(f"complete -c sdserve -n __fish_use_subcommand -a {name} -d {_quoted(command.HELP)}")
    for name, actions in _options().items():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        if name not in _WITHOUT_INSTANCE:
            lines.append(f"complete -c sdserve {seen} -a '(__sdserve_instances)'")
        for action in actions:
            needs = "" if action.nargs == 0 else " -r"
            for option in action.option_strings:
                if option.startswith("--"):
                    about = _quoted(str(action.help))
                    lines.append(f"complete -c sdserve {seen} -l {option[2:]}{needs} -d {about}")
    return "\n".join([*lines, ""])


def _options() -> _Options:
    """The options of each command."""
    _, commands = parsers()
    return {
        name: [action for action in parser._actions if action.option_strings]
        for name, parser in commands.items()
    }


def _words(actions: list[argparse.Action]) -> list[str]:
    return [word for action in actions for word in action.option_strings if word.startswith("--")]


def _zsh_spec(action: argparse.Action, option: str) -> str:
    several = "*" if isinstance(action, argparse._AppendAction) else ""
    text = str(action.help).replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = "" if action.nargs == 0 else f":{action.metavar}:_files"
    return f"{several}{option}[{text}]{value}".replace("::", ":")


def _quoted(text: str) -> str:
    """Return `text` as one word of each of the shells."""
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    for name, text in (("sdserve.bash", bash()), ("_sdserve", zsh()), ("sdserve.fish", fish())):
        Path(sys.argv[1], name).write_text(text)
