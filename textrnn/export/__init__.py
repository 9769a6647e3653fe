"""Tasks as versioned SavedModels that stock TF Serving runs."""
