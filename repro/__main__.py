"""``python -m repro``: the command line from a checkout, without installation."""

from repro.cli.main import main

if __name__ == "__main__":
    main()
