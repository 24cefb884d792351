"""What may be written where a contrast is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.contrasts.means import Means

ContrastSpec = str | ArrayLike | Mapping[str, float] | Sequence[Any] | Hypothesis | Means
