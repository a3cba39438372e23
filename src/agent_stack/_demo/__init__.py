"""The demo: a real agent loop recorded, one killed in mid-tool, one imported, all three looked at."""
