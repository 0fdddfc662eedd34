"""`python -m admin`."""

import sys

if __name__ == "__main__":
    try:
        from admin.cli.main import main
    except KeyboardInterrupt:  # Importing takes a moment, in which Ctrl-C may come.
        sys.exit(130)
    sys.exit(main())
