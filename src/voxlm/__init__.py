"""Formula modelling for every voxel of an fMRI study.

Names load on first use, so that ``import voxlm`` costs next to nothing; ``__init__.pyi`` is the
list of them.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__version__ = "0.1.0"
