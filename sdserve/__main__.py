"""`python -m sdserve` is the same as `sdserve`."""

import sys

from sdserve.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
