"""The command `jaxlin`: the only place where text names a loss or an optimiser.

Results go to standard output, everything else to standard error; `--json` makes the result one
object. The exit code is 0, or 1 for a run that failed, 2 for something wrong with what was given,
130 after Ctrl-C, 141 where nobody reads the output any more.
"""
