"""Images for training: read once, kept as bytes, made into batches.

readers    files and folders of labelled images, one function for each format
pictures   picture files, decoded by Pillow
pixels     arrays of pixels: bytes, channels first, one size
labels     labels, and the classes that they mean
dataset    training, validation and test parts; batches and augmentation
"""
