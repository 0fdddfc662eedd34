"""The version of this software, from its package."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("netphone-standby")
except PackageNotFoundError:  # Run from a source tree that was never installed.
    VERSION = "0"
