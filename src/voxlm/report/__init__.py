"""Pictures, tables and pages.

Names load on first use: whoever draws nothing needs no matplotlib.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
