"""Minibatch SGD: how close an epoch comes to the machine's limit, and to its peers."""
