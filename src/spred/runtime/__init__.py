"""What runs need: folders and files that appear whole, work in pieces, progress, optional packages.

files       what is asked of a file before it is believed, and files that appear whole
folder      results folders and their run.json; JSON
lock        one run at a time for a folder
tasks       work in pieces, side by side, kept on the disk
cluster     tasks on a Dask cluster
progress    a bar or plain lines
compiled    functions that numba compiles and keeps
places      where files are kept if a user's own folders cannot be written
extras      packages that only some work needs
users_code  what a user's own function raises, with a note
"""
