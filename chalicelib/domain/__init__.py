"""What a workflow is and what happens next: pure, no input or output, standard library only."""
