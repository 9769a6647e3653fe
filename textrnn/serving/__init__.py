"""Running exported SavedModels. Nothing here knows Keras or the models that wrote them."""
