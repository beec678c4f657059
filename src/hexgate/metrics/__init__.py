"""Quality measures as pure functions of labels, predictions and texts, each tested against a reference."""
