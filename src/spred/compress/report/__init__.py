"""What a compression run shows: one page for people, and lines for the terminal.

report   the page, its tables and sentences, and the terminal's lines
figures  the figures of the page
"""
