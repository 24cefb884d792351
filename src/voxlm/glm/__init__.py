"""The names of ``nilearn.glm``, on the engine of this package.

Names load on first use: a group's maps need neither responses nor corrections.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
