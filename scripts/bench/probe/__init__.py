"""The bench `probe`: the estimators beside scikit-learn's, and the command on Fashion-MNIST."""
