"""To the certified optimum: L-BFGS in a metric that couples the classes.

`passes` has the two products with all of the features; `rounded` the losses with their kinks
rounded off; `metric` the sampled second derivative that steps are measured in; `steps` the compiled
loop; `certifying` decides when the proof is good enough.

Many small problems with a smooth loss take another way, all at once: `reduced` has their few
coordinates, `newton_cg` the compiled loop, `newton_direction` what it asks float32 for, and `small`
the path over l2 with its proofs; `standings` and `at_once` put together what is solved in parts.
"""
