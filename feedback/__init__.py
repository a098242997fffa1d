"""What users said, made into examples."""
