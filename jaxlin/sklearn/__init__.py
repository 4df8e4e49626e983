"""scikit-learn's interface over the engine: estimators for pipelines, searches and everything else.

`LinearClassifier` goes to the certified optimum, `LinearClassifierCV` chooses its l2 by
cross-validation, and `MinibatchClassifier` takes minibatch steps and goes on where it was with
`partial_fit`. They are facades: what they compute, `jaxlin.fit` and `jaxlin.sweep` compute. This
package loads scikit-learn, and `import jaxlin` does not load this package.
"""

from jaxlin.sklearn.classifier import LinearClassifier
from jaxlin.sklearn.cross_validated import LinearClassifierCV
from jaxlin.sklearn.minibatch import MinibatchClassifier

__all__ = ["LinearClassifier", "LinearClassifierCV", "MinibatchClassifier"]
