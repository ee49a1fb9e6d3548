"""Files become tables: one file a format, with a row in ``READERS``. Nothing else in spred knows their formats.

readers      a row for each suffix, and what a study asks of a file
text         encodings, separators and decimal signs of text files
rows         the cells of every row, counted while pandas reads it
tables       which way round a table stands, which columns are names, annotations and numbers
geo          series matrices and DataSets of the Gene Expression Omnibus
matrices     h5ad files
tenx         10x folders
hdf5_probe   an HDF5 file read once in another process, which may crash
excel        workbooks
parquet      parquet tables
matlab       MATLAB files
annotation   platform tables: symbols of probes
describe     what a file holds, before any model
new_samples  a saved model and the samples that it predicts
"""
