from __future__ import annotations

import math
from typing import Any

import pytest

from omniq_flow.errors import OutOfRange
from omniq_flow.runtime.channels import LOOK_AGAIN_S
from omniq_flow.runtime.watch import Watch


@pytest.mark.parametrize("timeout", [math.nan, -1, -0.001, "10", True, [3]])
def test_a_timeout_that_is_no_length_of_time_is_refused(timeout: Any) -> None:
    with pytest.raises(OutOfRange, match=r"timeout must be seconds, 0 or more, or None to wait without end, not "):
        Watch("r1", timeout)


@pytest.mark.parametrize("timeout", [None, math.inf, 10**400, 3600])
def test_a_long_timeout_looks_again_all_the_same(timeout: float | None) -> None:
    assert Watch("r1", timeout).pause() == LOOK_AGAIN_S
