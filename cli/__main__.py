"""`python -m cli` is `dormice`."""

from cli.main import main

main()
