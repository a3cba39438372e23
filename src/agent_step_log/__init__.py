"""What happened: the record format, the recorder, and reading it back."""
