"""What every model here can do by scikit-learn's conventions, without importing scikit-learn."""

from __future__ import annotations

import inspect
from dataclasses import make_dataclass
from functools import cache
from importlib import import_module
from typing import Any

import lazy_loader
import numpy as np

from voxlm.errors import VoxlmError

twins = lazy_loader.load("voxlm.glm.twin", suppress_warning=True)


class NotFittedError(VoxlmError, AttributeError):
    """Something was asked of a model before its fit."""


class Estimator:
    """Parameters are the arguments of the constructor, stored as they are given.

    ``get_params``, ``set_params``, ``sklearn.base.clone``, ``repr`` and pickling work as for
    scikit-learn's own; nothing that is passed in is ever changed.
    """

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the parameters and their defaults."""
        found = inspect.signature(cls.__init__).parameters
        return {name: one.default for name, one in found.items() if name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; with ``deep`` also those of parameters that have some."""
        out: dict[str, Any] = {}
        for name in sorted(self.defaults()):
            value = out[name] = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                out |= {f"{name}__{key}": inner for key, inner in value.get_params().items()}
        return out

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name and return the model."""
        known = self.defaults()
        for name, value in params.items():
            outer, _, inner = name.partition("__")
            if outer not in known:
                raise VoxlmError(
                    f"Invalid parameter {outer!r} for estimator {type(self).__name__}. "
                    f"Valid parameters are: {sorted(known)}."
                )
            if inner:
                getattr(self, outer).set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, default in self.defaults().items()
            if not _same(getattr(self, name), default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        utils = import_module("sklearn.utils")
        return utils.Tags(
            estimator_type="glm",
            target_tags=utils.TargetTags(required=False),
            input_tags=_image_tags()(two_d_array=False),
        )

    def _more_tags(self) -> Any:
        return self.__sklearn_tags__()

    def get_metadata_routing(self) -> Any:
        """Return which arguments of ``fit`` scikit-learn's metadata routing hands on."""
        return twins.twin(self).get_metadata_routing()

    def set_fit_request(self, **requests: Any) -> Any:
        """Ask scikit-learn's metadata routing for arguments of ``fit``, and return the model.

        Parameters
        ----------
        **requests : bool, str or None
            By the name of the argument, as for scikit-learn's own estimators.
        """
        made = twins.twin(self)
        made.set_fit_request(**requests)
        self._metadata_request = made._metadata_request
        return self

    def _get_doc_link(self) -> str:
        """Return where the parameters are explained; scikit-learn's picture links to it."""
        return str(twins.twin(self)._get_doc_link())

    def _repr_html_(self) -> str:
        """Return the picture of the model that notebooks show, as scikit-learn draws it."""
        return str(twins.twin(self)._repr_html_())

    def __sklearn_is_fitted__(self) -> bool:
        raise AttributeError("every model says when it is fitted")

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )

    def _say(self, words: str, level: int = 1) -> None:
        if getattr(self, "verbose", 0) >= level:
            print(f"[{type(self).__name__}.fit] {words}")


@cache
def _image_tags() -> Any:
    """Return scikit-learn's tags of what a model takes, with those of images."""
    kinds = [("niimg_like", bool, True), ("surf_img", bool, True)]
    return make_dataclass("ImageTags", kinds, bases=(import_module("sklearn.utils").InputTags,))


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    try:
        return type(value) is type(default) and bool(np.all(value == default))
    except (TypeError, ValueError):
        return False
