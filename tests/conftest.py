"""The fixtures of the paper's tests."""

from literate.testing import *  # noqa: F403
