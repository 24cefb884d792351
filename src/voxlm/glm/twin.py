"""scikit-learn's own estimator of the same name and parameters, for what only it can do."""

from __future__ import annotations

from functools import cache
from typing import Any

from sklearn.base import BaseEstimator

#: Where nilearn explains the parameters, which are those here.
PAGES = "https://nilearn.github.io/stable/modules/generated/nilearn.glm.{}.{}.html"


@cache
def twin_class(kind: Any) -> Any:
    """Return the class of twins: the constructor and ``fit`` of a model, on scikit-learn's base.

    Parameters
    ----------
    kind : type
        The class of the model.
    """
    body = {
        "__init__": kind.__init__,
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__sklearn_is_fitted__": lambda self: self._fitted,
        "fit": kind.fit,
        "_get_doc_link": lambda _: PAGES.format(kind.__module__.split(".")[2], kind.__name__),
    }
    return type(kind.__name__, (BaseEstimator,), body)


def twin(model: Any) -> Any:
    """Return the twin of a model: its parameters, its requests of metadata, whether it is fitted.

    Parameters
    ----------
    model : FirstLevelModel or SecondLevelModel

    Returns
    -------
    sklearn.base.BaseEstimator
    """
    kind: Any = type(model)
    made = twin_class(kind)(**model.get_params(deep=False))
    made._fitted = model.__sklearn_is_fitted__()
    if hasattr(model, "_metadata_request"):
        made._metadata_request = model._metadata_request
    return made
