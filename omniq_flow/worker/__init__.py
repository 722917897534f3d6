"""Workers: turns, attempts, and the duties beside them."""
