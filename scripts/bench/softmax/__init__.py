"""Softmax to the optimum: seconds to a certified gap, against the peers' to the same objective."""
