from .dataset import files as files
from .dataset import runs as runs
