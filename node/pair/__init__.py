"""`python -m node pair`: a whole pair on this machine, to try, to learn and to show."""
