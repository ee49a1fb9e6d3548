"""The networks that a recipe can name.

zoo    built-in networks, functions of the user, pretrained weights
"""
