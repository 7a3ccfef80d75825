"""What may leave now: claims with their attempts, the lanes of storms, the numbers that are called, messages in doubt."""
