"""Semantics: from trees to values, by programs."""
