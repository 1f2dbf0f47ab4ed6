"""Bytes <-> values, without input or output. What a codec finds wrong it returns as core Findings."""
