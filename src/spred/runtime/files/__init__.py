"""Files: what is asked of one before it is believed, and how new ones appear.

atomic    files and folders that appear whole or not at all
arrays    arrays in .npz files, read without pickle
reading   what goes wrong with a file, as a sentence
limits    what a file may unpack to
memory    how much of it there is
isolated  a script that reads a file in a process of its own
typed     whether plain data are of the types that a record declares
"""
