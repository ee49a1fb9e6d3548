"""What the processes of ``fuzz_campaign.py`` import before they are made: all that the readers need."""

import h5py  # noqa: F401
import openpyxl  # noqa: F401
import pyarrow.parquet
import scipy.io  # noqa: F401
import torch
import torch._dynamo

import spred.compress.data.readers
import spred.compress.export.shrunk
import spred.compress.export.sparse
import spred.compress.training.checkpoints
import spred.genes.io.describe  # noqa: F401

torch.set_num_threads(1)
pyarrow.set_cpu_count(1)
