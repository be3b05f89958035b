"""Keys of providers: from the environment or from a file of the person's own, and never in what is said or kept."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

__all__ = ["SecretsRefused", "key_for", "read_secrets", "redacted"]

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_KEY_NAMES: Final = re.compile(r"[A-Z0-9_]*(?:API_KEY|TOKEN|SECRET)[A-Z0-9_]*")
_SHORTEST_SECRET: Final = 8
_LARGEST_FILE: Final = 65_536


class SecretsRefused(OSError):
    """A secrets file cannot be used; the message names the line, never what stands in it."""


def read_secrets(path: str) -> dict[str, str]:
    """Return the names and values of a file with lines `NAME=value`; of none, where the path is empty.

    Empty lines and lines that begin with # are left out; quotes around a value are not part of it.

    Raises:
        SecretsRefused: the file is missing, others can read it, or a line is something else.
    """
    if not path:
        return {}
    file = Path(path).expanduser()
    text = _private_text(file)
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix("export ")
        if not stripped or stripped.startswith("#"):
            continue
        name, separator, value = stripped.partition("=")
        if not separator or not _NAME.fullmatch(name.strip()) or not value.strip():
            raise SecretsRefused(f"line {number} of {file} is not NAME=value, with a name such as OPENAI_API_KEY")
        found[name.strip()] = _unquoted(value.strip())
    return found


def _private_text(file: Path) -> str:
    try:
        status = file.stat()
        readable = not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) and status.st_size <= _LARGEST_FILE
        text = file.read_text(encoding="utf-8") if readable else ""
    except UnicodeDecodeError as e:
        raise SecretsRefused(f"{file} is not UTF-8") from e
    except OSError as e:
        raise SecretsRefused(f"{file} cannot be read: {e.strerror}") from e
    if status.st_size > _LARGEST_FILE:
        raise SecretsRefused(f"{file} has more than {_LARGEST_FILE} bytes")
    if not readable:
        raise SecretsRefused(f"others may read or write {file}; allow it to its owner alone: chmod 600 {file}")
    return text


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def key_for(provider: str, secrets: Mapping[str, str]) -> str | None:
    """Return the key of a provider as LiteLLM names it (`openai`, `anthropic`, ...); None where the file has none."""
    return secrets.get(f"{provider.upper()}_API_KEY")


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return text without any of these secrets, nor any key of the environment."""
    from_environment = (value for name, value in os.environ.items() if _KEY_NAMES.fullmatch(name))
    hidden = {value for value in (*secrets, *from_environment) if len(value) >= _SHORTEST_SECRET}
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, "[key]")
    return text
