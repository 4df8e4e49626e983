"""Who minimises a multiclass hinge with l2, one file each: a class `Solver`."""
