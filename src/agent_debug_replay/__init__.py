"""Seeing it again: the read-back run, a navigator over its steps, and what differs between two runs."""

from __future__ import annotations

__all__: list[str] = []
