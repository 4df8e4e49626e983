"""Data sets, one file each, found by their file: a class `Dataset` with a name and parameters."""
