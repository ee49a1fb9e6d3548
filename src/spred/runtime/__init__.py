"""What runs need: folders and files that appear whole, work in pieces, progress, optional packages.

folder      results folders and their run.json; JSON
atomic      files and folders that appear whole or not at all
arrays      arrays in .npz files, read without pickle
tasks       work in pieces, side by side, kept on the disk
memory      how much of it there is
progress    a bar or plain lines
extras      packages that only some work needs
users_code  what a user's own function raises, with a note
"""
