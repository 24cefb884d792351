"""What a user holds: runs fitted, questions asked, decisions made."""

import lazy_loader as _lazy

# ``voxlm.plot`` is a module of this layer; nothing else is reached through the package.
__getattr__, __dir__, __all__ = _lazy.attach(__name__, submodules={"plot"})
