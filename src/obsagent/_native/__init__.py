"""The compiled core, by family: `ring` (recording), `sketch` (summaries), `codec` (bytes and windows)."""
