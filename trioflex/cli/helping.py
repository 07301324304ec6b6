"""How help looks: beside a flag stands no type, since taking nothing is what makes it one."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, ``--help`` among them."""
        return _without_types_of_flags(super().get_params(ctx))


class Group(TyperGroup):
    """The command line, with the options that come before a command's name."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, ``--help`` among them."""
        return _without_types_of_flags(super().get_params(ctx))


def _without_types_of_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params
