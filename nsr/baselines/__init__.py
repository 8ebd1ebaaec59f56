"""Neural sequence-to-sequence learners, the references against which accuracy and speed are stated."""
