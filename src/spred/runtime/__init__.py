"""What runs need: folders and files that appear whole, work in pieces, progress, optional packages.

folder      results folders and their run.json; JSON
atomic      files and folders that appear whole or not at all
lock        one run at a time for a folder
arrays      arrays in .npz files, read without pickle
tasks       work in pieces, side by side, kept on the disk
cluster     tasks on a Dask cluster
memory      how much of it there is
progress    a bar or plain lines
compiled    functions that numba compiles and keeps
places      where files are kept if a user's own folders cannot be written
extras      packages that only some work needs
users_code  what a user's own function raises, with a note
"""
