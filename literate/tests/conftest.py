"""The fixtures of the machine's tests."""

from literate.testing import *  # noqa: F403
