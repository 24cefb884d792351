"""Who is next to whom in a space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxlm.errors import DataError
from voxlm.images.space import Space, Volume
from voxlm.kernels.graph import volume_graph

if TYPE_CHECKING:
    from scipy import sparse

CONNECTIVITIES = (6, 18, 26)


def neighbours(space: Space, connectivity: int = 6) -> sparse.csr_array:
    """Return the neighbour graph of a space, shape ``(V, V)``.

    Raises
    ------
    DataError
        Columns of an array, which have no neighbours; a connectivity other than 6, 18 and 26.
    """
    if not isinstance(space, Volume):
        raise DataError(
            "clusters and TFCE need neighbours, which the columns of an array do not have: give "
            "the maps as images, or use method='maxt'"
        )
    if connectivity not in CONNECTIVITIES:
        raise DataError(f"connectivity is 6, 18 or 26, got {connectivity!r}")
    inside = np.ravel_multi_index(tuple(space.voxels.T), space.shape)
    return volume_graph(space.shape, inside, connectivity)  # type: ignore[arg-type]
