"""One command a file: it reads its arguments, calls the library, and hands what it got to a renderer."""
