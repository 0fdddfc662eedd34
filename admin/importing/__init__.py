"""Files -> entries: pure parsing, checking and comparing. No I/O in here.

A file is read whole and every broken line is named before anything is sent, so an import
is never half a file.
"""
