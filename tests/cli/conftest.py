"""Servers that answer by a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.scripted import ScriptedServer


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def start(**parts: Any) -> ScriptedServer:
        servers.append(ScriptedServer(**parts))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
