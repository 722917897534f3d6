"""What tests of flows need: real servers, ready to be killed, stopped and moved about."""
