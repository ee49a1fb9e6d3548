"""The networks that a recipe can name.

zoo      built-in networks, and the choice among them and functions of the user's
own      a function of the user's: found, called, what it raises
weights  pretrained weights from files
"""
