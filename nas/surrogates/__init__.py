"""What a model-guided strategy predicts with: features of candidates, a Gaussian process, expected improvement."""
