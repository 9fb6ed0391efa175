"""Fixtures for every room."""

from __future__ import annotations

from tests.services import kafka, prefix

__all__ = ["kafka", "prefix"]
