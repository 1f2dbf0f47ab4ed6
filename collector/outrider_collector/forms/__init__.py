"""The forms of a statement: CSV, HTML and PDF, each a pure function of the statement's JSON.

Rules
-----
1. A form adds nothing, works nothing out and leaves out no figure: percentages are printed as the statement cut them.
2. The same statement gives the same bytes: no clock, no randomness, nothing of this machine, no order by chance.
3. Reasons, authors, names and details were written by others. Each form makes them harmless in its own way.
4. A statement that does not have the shape of `reading` is refused, and no form of it is made.
"""
