"""``python -m gesso``."""

from gesso.cli.main import main

if __name__ == "__main__":
    main()
