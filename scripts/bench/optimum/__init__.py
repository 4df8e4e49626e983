"""What the benches `softmax` and `svm` share: seconds to the optimum, judged from outside.

A solver's curve is made of runs with growing budgets, each from the start and timed wholly, or of
snapshots with the clock stopped. Every answer is judged in float64; the optimum is bounded from
below by the best certificate of the run, whoever's point it was made at.
"""
