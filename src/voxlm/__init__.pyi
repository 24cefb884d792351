from . import hrf as hrf
from . import simulate as simulate
from .analysis.conjunction import conjunction as conjunction
from .analysis.contrast import Contrast as Contrast
from .analysis.design import Design as Design
from .analysis.explain import explain as explain
from .analysis.firstlevel import design as design
from .analysis.firstlevel import glsar as glsar
from .analysis.fit import Fit as Fit
from .analysis.fixed import FixedEffects as FixedEffects
from .analysis.group import lmer as lmer
from .analysis.group import meta as meta
from .analysis.groupfit import GroupFit as GroupFit
from .analysis.lm import lm as lm
from .analysis.verdict import Verdict as Verdict
from .bids.maps import Maps as Maps
from .bids.run import Run as Run
from .contrasts.means import emm as emm
from .design.columns import Column as Column
from .errors import ContrastError as ContrastError
from .errors import DataError as DataError
from .errors import DesignError as DesignError
from .errors import FormulaError as FormulaError
from .errors import VoxlmError as VoxlmError
from .errors import VoxlmWarning as VoxlmWarning

__version__: str
