"""Change the Lua files and see that tests fail; see program.py."""

from __future__ import annotations

import sys

from program import main

sys.exit(main())
