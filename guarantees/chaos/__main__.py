"""Run real workers, clients and a server under chaos; see driver.py."""

from __future__ import annotations

import sys

from driver import main

sys.exit(main())
