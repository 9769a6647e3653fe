"""Running exported SavedModels with TensorFlow alone: this package imports no Keras and no task."""
