"""Which tests of sessions run on a cluster too: a fixed share in each run of the suite, all with ``OMNIQ_TEST_CLUSTER=all``."""

from __future__ import annotations

import inspect
import os
import zlib

import pytest
from leaks import on_cluster

EVERYTHING = os.environ.get("OMNIQ_TEST_CLUSTER") == "all"
ONE_OF = 8
# Those look at, or break, the one server that they take for the session's.
_OF_ONE_SERVER = {"server", "redis_client", "spare_server"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if on_cluster(item) and not _taken(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _taken(item: pytest.Item) -> bool:
    asked = set(inspect.signature(item.function).parameters) if isinstance(item, pytest.Function) else set[str]()
    if asked & _OF_ONE_SERVER:
        return False
    return EVERYTHING or zlib.crc32(item.nodeid.encode()) % ONE_OF == 0
