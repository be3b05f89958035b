"""Flags, environment and defaults; the shape of errors."""

from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from tabrl_chassis.config import ServiceConfig, loggable, option, parse_config, peer
from tabrl_chassis.errors import TabrlError, to_status


@dataclass(frozen=True)
class Config(ServiceConfig):
    scene_address: str = peer("scene")
    slots: int = option("how many runs train at once", 1, least=1)
    open_browser: bool = option("whether to open a browser", True)
    limit_secs: float | None = option("longest run", None)


def parsed(*arguments: str, **environment: str) -> Config:
    return parse_config(Config, "trainer", arguments=arguments, environment=environment)


def test_defaults_are_the_services_place_beside_the_gateway():
    config = parsed()
    assert (config.host, config.port, config.http_port) == ("127.0.0.1", 8083, 8093)
    assert (config.scene_address, config.slots, config.limit_secs) == ("127.0.0.1:8081", 1, None)


def test_flags_beat_the_environment_which_beats_defaults():
    config = parsed("--slots", "3", TABRL_SLOTS="2", TABRL_DATA="/data", TABRL_LIMIT_SECS="1.5", TABRL_OPEN_BROWSER="0")
    assert (config.slots, config.data, config.limit_secs, config.open_browser) == (3, Path("/data"), 1.5, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("many", "invalid int value: 'many'"),
        ("1.5", "invalid int value: '1.5'"),
        ("0", "0 is less than 1"),
        ("-3", "-3 is less than 1"),
    ],
)
def test_bad_values_name_their_flag(text, words, capsys):
    with pytest.raises(SystemExit) as caught:
        parsed(TABRL_SLOTS=text)
    assert caught.value.code == 2
    assert f"argument --slots: {words}" in capsys.readouterr().err


def test_help_names_the_variables(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    assert "how many runs train at once (TABRL_SLOTS) (default: 1)" in " ".join(text.split())


def test_secrets_are_not_logged():
    config = parsed("--database-url", "postgresql://user:password@host/db")
    assert "password" not in str(loggable(config))


def test_a_reason_outside_the_contract_is_a_defect():
    with pytest.raises(ValueError, match="add it to the contract"):
        TabrlError(grpc.StatusCode.NOT_FOUND, "NO_SUCH_REASON", "x")


def test_details_stay_below_what_a_header_may_hold():
    fields = [(f"source:{line}", "x" * 5000) for line in range(100)]
    status = to_status(TabrlError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "y" * 9000, fields=fields))
    assert status.ByteSize() < 8000
    bad_request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad_request)
    assert bad_request.field_violations[0].field == "source:0"
