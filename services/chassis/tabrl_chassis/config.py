"""Configuration of a service: a frozen dataclass filled from flags, then the environment, then defaults."""

from __future__ import annotations

import argparse
import dataclasses
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

C = TypeVar("C", bound="ServiceConfig")

# The order in which the launcher hands out ports after the gateway's.
SERVICES = ("scene", "rewardgen", "trainer", "exporter", "inference")
DEFAULT_GATEWAY_PORT = 8080
HTTP_PORT_OFFSET = 10


def default_port(service: str) -> int:
    """Return the gRPC port that a service has beside a gateway on port 8080."""
    return DEFAULT_GATEWAY_PORT + 1 + SERVICES.index(service)


def default_address(service: str) -> str:
    """Return the loopback address that a service has beside a gateway on port 8080."""
    return f"127.0.0.1:{default_port(service)}"


def option(help: str, default: Any = dataclasses.MISSING, *, secret: bool = False, least: float | None = None) -> Any:
    """Declare a field of a configuration, with the line that `--help` shows.

    A `secret` one is never logged; a number below `least` is refused.
    """
    return dataclasses.field(default=default, kw_only=True, metadata={"help": help, "secret": secret, "least": least})


@dataclass(frozen=True)
class ServiceConfig:
    """What every service can be told. Field `http_port` is flag `--http-port` and variable `TABRL_HTTP_PORT`."""

    host: str = option("address to listen on", "127.0.0.1")
    port: int = option("gRPC port; 0 takes a free one", 0)
    http_port: int = option("HTTP port for /metrics and /artifacts/; 0 takes a free one", 0)
    data: Path = option("data folder, shared by the services of one machine", Path(".data"))  # noqa: RUF009
    database_url: str = option("SQLAlchemy URL of the database; empty for SQLite in the data folder", "", secret=True)
    artifacts_url: str = option("fsspec URL of the artifact store; empty for a folder in the data folder", "")
    log_format: str = option("console or json", "console")
    log_level: str = option("debug, info, warning or error", "info")
    drain_secs: float = option("how long calls under way may finish after a stop signal", 5.0)


def parse_config(
    config_type: type[C],
    name: str,
    *,
    description: str = "",
    arguments: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> C:
    """Return the configuration from flags (first), `TABRL_*` variables (second) and defaults.

    Exits with status 2 and a message that names the flag on bad input, as argparse does.
    """
    environment = os.environ if environment is None else environment
    parser = argparse.ArgumentParser(
        prog=f"python -m tabrl_{name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        epilog="Each flag is also an environment variable: --http-port is TABRL_HTTP_PORT. Flags win.",
    )
    hints = typing.get_type_hints(config_type)
    for item in dataclasses.fields(config_type):
        flag, variable = "--" + item.name.replace("_", "-"), "TABRL_" + item.name.upper()
        default = _default(item, name)
        if environment.get(variable):
            default = environment[variable]  # argparse converts and checks a default given as a string
        arguments_of: dict[str, Any] = {"help": f"{item.metadata.get('help', '')} ({variable})", "default": default}
        kind = _kind(hints[item.name])
        if kind is bool:
            arguments_of |= {"type": _boolean, "nargs": "?", "const": True, "metavar": "BOOL"}
        else:
            arguments_of["type"] = _at_least(item.metadata.get("least"), kind)
        if default is dataclasses.MISSING:
            arguments_of |= {"required": True}
            del arguments_of["default"]
        parser.add_argument(flag, **arguments_of)
    return config_type(**vars(parser.parse_args(arguments)))


def loggable(config: ServiceConfig) -> dict[str, str]:
    """Return the configuration as text, without its secrets."""
    return {
        item.name: "(set)"
        if item.metadata.get("secret") and getattr(config, item.name)
        else str(getattr(config, item.name))
        for item in dataclasses.fields(config)
    }


def _default(item: dataclasses.Field[Any], service: str) -> Any:
    if service in SERVICES and item.default == 0:
        if item.name == "port":
            return default_port(service)
        if item.name == "http_port":
            return default_port(service) + HTTP_PORT_OFFSET
    return item.default


def _kind(annotation: Any) -> Any:
    """Return the converter of a field's type; `T | None` converts as `T`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        (kind,) = [part for part in typing.get_args(annotation) if part is not type(None)]
        return kind
    return annotation


def _at_least(least: float | None, kind: type[Any]) -> Callable[[str], Any]:
    """Return a converter that refuses numbers below the least, if there is one."""
    if least is None:
        return kind

    def number(text: str) -> Any:
        value = kind(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least:g}")
        return value

    number.__name__ = kind.__name__  # argparse says "invalid int value" by it
    return number


def _boolean(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def peer(service: str) -> Any:
    """Declare the field `<service>_address` of a configuration: where another service listens, as `host:port`."""
    return option(f"address of the {service} service", default_address(service))
