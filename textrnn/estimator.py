"""`RecurrentTextClassifier`, the scikit-learn estimator, under its documented path."""

from textrnn.classification.estimator import RecurrentTextClassifier

__all__ = ["RecurrentTextClassifier"]
