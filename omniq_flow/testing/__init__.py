"""What tests of flows need, ours and users'."""
