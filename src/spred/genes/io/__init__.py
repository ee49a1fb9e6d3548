"""Files become tables: one function a format. Nothing else in spred knows the formats of expression data.

readers      a row for each suffix, and what a study asks of a file
text         encodings, separators and decimal signs of text files
tables       which way round a table stands, which columns are names, annotations and numbers
geo          series matrices and DataSets of the Gene Expression Omnibus
matrices     h5ad files and 10x folders
annotation   platform tables: symbols of probes
describe     what a file holds, before any model
new_samples  a saved model and the samples that it predicts
"""
