"""Run the command line as ``python -m omniq_flow.cli``."""

from omniq_flow.cli.main import main

main()
