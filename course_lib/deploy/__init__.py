"""What a model costs and how it is shipped: measured, compared, written as an ONNX file."""
