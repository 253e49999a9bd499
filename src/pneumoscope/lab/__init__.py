"""Where models are made (needs torch: extra `lab`)."""
