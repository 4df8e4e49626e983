"""Multiclass SVMs to the optimum: seconds to a certified gap, and the peers there are."""
