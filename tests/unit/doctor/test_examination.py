"""Each damage of a live store is found by the same rules, and mended; a second look is clean."""

from __future__ import annotations

import pytest
import redis
from full_queue import QUEUE, fill
from keyspace import keyspace
from test_rules import DAMAGES

from omniq_flow.doctor.examination import examine
from omniq_flow.doctor.repair import treat
from omniq_flow.queue import OmniqClient

pytestmark = pytest.mark.keeps_keys
