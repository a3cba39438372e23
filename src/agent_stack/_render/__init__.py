"""What the eyes get: runs, steps and reports as lines of text.

Every renderer is handed what was read and gives back `Line`s. None opens a file, knows
the command line, or prints.
"""
