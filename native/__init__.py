"""Compiled ground: checked bytes, Arrow columns, text. Knows no evidence format."""
