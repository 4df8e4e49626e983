"""Who trains by minibatch SGD, one file each: a class `Solver` with a name and parameters."""
