"""Images on their way into a network: cache, augmentation, batches."""
