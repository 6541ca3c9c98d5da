"""Segments: append-only files of checkpointed windows. The bytes are described in FORMAT.md beside this."""
