"""Images for training: read once, kept as bytes, made into batches.

readers    files and folders of labelled images, one function for each format
dataset    training, validation and test parts; batches and augmentation
"""
