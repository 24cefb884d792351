from .analysis.contrast import Contrast as Contrast
from .analysis.explain import explain as explain
from .analysis.fit import Fit as Fit
from .analysis.firstlevel import design as design
from .analysis.firstlevel import glsar as glsar
from .analysis.firstlevel import lm as lm
from .analysis.verdict import Verdict as Verdict
from .bids.run import Run as Run
from .errors import VoxlmError as VoxlmError
from . import hrf as hrf
from . import simulate as simulate

__version__: str
