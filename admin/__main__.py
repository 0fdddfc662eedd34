"""`python -m admin`."""

import gc
import sys

if __name__ == "__main__":
    # The events of a history are in no cycles: looking for some, again and again in all
    # entries that a walk holds, took a quarter of its time.
    gc.set_threshold(100_000)
    try:
        from admin.cli.main import main
    except KeyboardInterrupt:  # Importing takes a moment, in which Ctrl-C may come.
        sys.exit(130)
    sys.exit(main())
