"""What the command line says to a misspelt command or option."""

from __future__ import annotations

import click

from abm.lab.errors import nearest


class Suggesting(click.Group):
    """Names the nearest command when one is misspelt."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            ctx.fail(f"unknown command {name!r}; {nearest(name, names) or 'expected ' + ', '.join(names)}")
        return super().resolve_command(ctx, args)


def usage_text(error: click.ClickException) -> str:
    """The complaint on one line, beginning with the command it is about."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption) and context is not None:
        options = [option for parameter in context.command.params for option in (*parameter.opts, *parameter.secondary_opts)]
        guess = nearest(error.option_name, [option for option in options if option.startswith("-")])
        message = f"unknown option {error.option_name}" + (f"; {guess}" if guess else f" (see {context.command_path} --help)")
    return f"{context.command_path if context is not None else 'abm'}: {' '.join(message.split())}"


def show_help(context: click.Context) -> None:
    """Prints the help of a group that was called without a command."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
