"""The sizes of the pieces in which small products are made: known without loading a compiler."""

TALL, WIDE = 5, 4  # rows and columns of a matrix that all voxels share
