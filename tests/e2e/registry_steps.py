"""Steps with the registry that several tests take."""

from __future__ import annotations

from playwright.sync_api import Locator, Page
from tabrl.exporter.v1 import registry_pb2
from tabrl_cli.connection import Connection

__all__ = ["register", "version_on"]


def register(connection: Connection, name: str, *policy_ids: str) -> None:
    """Keeps policies as the versions of a name."""
    for policy_id in policy_ids:
        version = registry_pb2.RegisterVersionRequest(name=name, policy_id=policy_id)
        connection.call(connection.registry.RegisterVersion, version)


def version_on(page: Page, number: int) -> Locator:
    """A version on the page of its name."""
    return page.get_by_role("article", name=f"Version {number}", exact=True)
