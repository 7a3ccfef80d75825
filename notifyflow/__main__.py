"""Runs the command line as ``python -m notifyflow``."""

from notifyflow.cli import main

main()
