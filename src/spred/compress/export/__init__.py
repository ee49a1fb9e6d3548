"""The chosen model as files, each loaded back and compared.

folder         every file of a results folder, from the chosen model
safetensors    tensors in safetensors files
sparse         a state dict without its zeros
shrunk         the smaller model as a table of its modules and its weights
shrunk_table   what such a table may say
onnx           ONNX, and the comparison of outputs
measure        parameters, multiply-adds, time in ONNX Runtime
"""
