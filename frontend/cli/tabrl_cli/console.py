"""How things look on a terminal, in a pipe, and to a program that asked for JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tabrl_cli.errors import CallError

PIPE_COLUMNS = 400
_NUMERIC = frozenset({"steps", "return", "degrees of freedom", "actuators", "largest difference", "allowed"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Output:
    """Where a command writes: tables and lines for people, or JSON, one document a line."""

    def __init__(self, *, as_json: bool) -> None:
        """Colours and moving bars appear on a terminal alone."""
        self.as_json = as_json
        # a pipe has no width; rich would fold everything at 80 columns
        self.console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    @property
    def live(self) -> bool:
        """Whether lines may be drawn over."""
        return self.console.is_terminal and not self.as_json

    def line(self, markup: str = "") -> None:
        """Writes a line for people."""
        if not self.as_json:
            self.console.print(printable(markup))

    def note(self, text: str) -> None:
        """Writes a dimmed line for people."""
        self.line(f"[dim]{escape(text)}[/dim]")

    def event(self, name: str, **content: Any) -> None:
        """Writes a line of JSON, if that was asked for."""
        if self.as_json:
            print(json.dumps({"event": name, **{key: plain(value) for key, value in content.items()}}), flush=True)

    def document(self, message: Message) -> None:
        """Writes a message as JSON."""
        print(json.dumps(plain(message), indent=2 if sys.stdout.isatty() else None), flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
        """Writes a table, or `empty` when it has no rows."""
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        for index, column in enumerate(columns):
            numeric = column in _NUMERIC
            # ids are there to be copied: they stay in one piece
            table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=index == 0)
        count = 0
        for row in rows:
            table.add_row(*(Text(printable(cell).replace("\n", " ")) for cell in row))
            count += 1
        if count:
            self.console.print(table)
        else:
            self.note(empty)

    def error(self, error: CallError) -> None:
        """Says on standard error what went wrong and what to do."""
        if self.as_json:
            print(json.dumps({"error": error.to_json()}), file=sys.stderr, flush=True)
            return
        self._error_line(f"[bold red]error[/bold red] {escape(error.message)} [dim]({escape(error.reason)})[/dim]")
        for name, description in error.fields:
            if f"{name}: {description}" not in error.message:  # else it has just been said
                self._error_line(f"  [bold]{escape(name)}[/bold] {escape(description)}")
        provider = error.metadata.get("provider_error")
        if provider:
            self._error_line(f"  the provider said: {escape(provider)}")
        incident = error.metadata.get("incident")
        if incident:
            self._error_line(f"  incident {escape(incident)}")
        if error.remedy:
            self._error_line(f"  {escape(error.remedy)}")
        elif error.retry_after_secs:
            self._error_line(f"  Try again in {duration(error.retry_after_secs)}.")

    def _error_line(self, markup: str) -> None:
        self.errors.print(printable(markup))


def printable(text: str) -> str:
    """Text without what a terminal would obey: others write titles, notes and names."""
    return _CONTROL.sub("\ufffd", text)


def plain(value: Any) -> Any:
    """A message as its JSON, in the names of the contracts; anything else as it is."""
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return value


def usd(amount: float) -> str:
    """US dollars: to the cent, or to the tenth of a cent where there are few."""
    return f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.3f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `42 s`, `1 min 40 s`, `2 h 5 min`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def count(number: float) -> str:
    """A count with thousands apart: `1,200,000`."""
    return f"{round(number):,}"
