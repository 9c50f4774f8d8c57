"""`completion`: the shell's script that completes commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import shell_complete


class Shell(StrEnum):
    """A shell that can be told how to complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(help="For this shell.")]
) -> None:
    """Print the script that completes commands and options in a shell.

    bash: eval "$(consent-proxy completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc,
    after compinit; fish: consent-proxy completion fish > ~/.config/fish/completions/
    consent-proxy.fish. A package puts it where the shell looks for such scripts.
    """
    root = context.find_root().command
    code = shell_complete(
        root, {}, "consent-proxy", "_CONSENT_PROXY_COMPLETE", f"source_{shell.value}"
    )
    raise typer.Exit(code)
