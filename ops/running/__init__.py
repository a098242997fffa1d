"""Programs kept running together on one machine. Knows nothing of what they do."""
