"""The embedded server: TF Serving's API over SavedModels, without Keras and without the models' code."""
