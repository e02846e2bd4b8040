#!/usr/bin/python3
"""What a package installs as /usr/bin/sdserve."""

import sys

from sdserve.cli.main import main

sys.exit(main())
