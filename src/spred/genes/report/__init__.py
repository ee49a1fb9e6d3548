"""What a study leaves: files for programs, and one page for people.

report      the files of the results folder, and the page
figures     the figures of the page, with their captions
text        the sentences and tables of the study itself
robustness  those of what was added: stability, other methods, permutations
methods     the methods paragraph, ready for a paper
"""
