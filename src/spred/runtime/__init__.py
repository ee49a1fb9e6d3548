"""What runs need: folders and files that appear whole, work in pieces, progress, optional packages.

folder    results folders and their run.json
atomic    files and folders that appear whole or not at all
tasks     work in pieces, side by side, kept on the disk
progress  a bar or plain lines
extras    packages that only some work needs
memory    how much of it there is
limits    what a file may unpack to
reading   what goes wrong with a file, as a sentence
isolated  a script that reads a file in a process of its own
typed     whether plain data are of the types that a record declares
"""
