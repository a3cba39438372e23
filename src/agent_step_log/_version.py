"""The version of the distribution, in the one place it is stated for code."""

from __future__ import annotations

__version__ = "0.1.0"
