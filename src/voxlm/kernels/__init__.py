"""Arrays in, arrays out; numpy, scipy and numba, nothing else.

What is compiled costs a tenth of a second and 50 MB to load before it has done anything. A caller
that may not need it takes the module from here, ``kernels.smooth.smooth(…)``, and it loads on first
use; ``__init__.pyi`` is the list of them.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
