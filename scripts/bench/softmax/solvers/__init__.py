"""Who minimises softmax with l2, one file each: a class `Solver` with a name and parameters."""
