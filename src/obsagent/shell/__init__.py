"""The interactive shell: queries and backslash commands, from a terminal or from a pipe.

`session` runs what was entered, whoever entered it; `lines` tells where one entry ends; `prompt` is the terminal's
side, the only module that knows prompt_toolkit. How an answer is printed is injected.
"""
