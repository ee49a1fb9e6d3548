"""What results look like, for every application: one self-contained page, its parts, figures and words.

html         a template filled, a figure as part of a page
blocks       the parts of a page: cards, tables, figures with captions
plots        the figures that more than one report has
spreadsheet  CSV files whose text is no formula
wording      how things are said in sentences and cells
"""
