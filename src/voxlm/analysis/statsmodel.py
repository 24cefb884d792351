"""A model from and to the file format of BIDS Stats Models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voxlm.analysis.modelfile import read_json, text_of
from voxlm.bids.standardin import read_document
from voxlm.bids.standardout import write_document
from voxlm.errors import DataError

if TYPE_CHECKING:
    from voxlm.analysis.model import Model


def read(of: type[Model], source: Any) -> Model:
    """Read a BIDS Stats Model; see :meth:`voxlm.Model.from_bids_stats_model`."""
    if isinstance(source, Mapping):
        return of.from_dict(read_document(source))
    text, name = text_of(source, "{")
    document = read_json(text, name)
    try:
        return of.from_dict(read_document(document))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def write(model: Model) -> dict[str, Any]:
    """Write a BIDS Stats Model; see :meth:`voxlm.Model.to_bids_stats_model`."""
    return write_document(model.to_dict(whole=True))
