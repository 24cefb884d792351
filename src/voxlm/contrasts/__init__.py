"""Questions about columns: text to rows of C, and C to effect, variance and statistic."""

from voxlm.contrasts.combine import Effect as Effect
from voxlm.contrasts.combine import combine as combine
from voxlm.contrasts.estimable import check_estimable as check_estimable
from voxlm.contrasts.hypothesis import Hypothesis as Hypothesis
from voxlm.contrasts.hypothesis import hypothesis as hypothesis
from voxlm.contrasts.means import Means as Means
from voxlm.contrasts.means import emm as emm
from voxlm.contrasts.statmap import StatMap as StatMap
from voxlm.contrasts.statmap import test as test
from voxlm.contrasts.statmap import wald as wald
