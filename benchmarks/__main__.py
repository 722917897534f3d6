"""Measure; see program in measuring.py."""

from __future__ import annotations

import sys

from measuring import main

sys.exit(main())
