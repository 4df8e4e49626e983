"""What jaxlin is compared with, in the form of benchopt's benchmark repositories.

`objective.py` judges every answer, in float64 and outside of whoever gave it. A data set is a file
in `datasets/`; a bench is a folder (`sgd/`) with its `solvers/`, one file each, its bars
(`bars.json`) and `bench.py`, which says what is run, what the bars measure and how the page looks.
`harness/` is what the benches share.
"""
