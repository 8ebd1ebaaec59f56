"""Syntax: from symbols to dependency trees."""
