"""Perception: from grounded inputs to symbols."""
