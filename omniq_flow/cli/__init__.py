"""The command line: ``omniq-flow``. One file per group of verbs; results go to stdout, everything else to stderr."""
