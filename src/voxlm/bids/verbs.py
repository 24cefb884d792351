"""What each instruction does to the variables; see :mod:`voxlm.bids.instructions`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy

from voxlm.bids.variables import TIMING, Namespace, listed
from voxlm.errors import DataError, did_you_mean

EXTENSIONS = ("nearest", "reflect", "constant")


def _outputs(space: Namespace, step: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the names of the results: ``Output``, or the inputs over again."""
    if "output" not in step:
        return list(names)
    found = [str(name) for name in listed(step["output"])]
    if len(found) != len(names):
        raise space.fail(f"{len(found)} outputs for {len(names)} inputs")
    return found


def _numbers(space: Namespace, name: str) -> pd.Series[Any]:
    values = space.variables[name].values
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        raise space.fail(f"{name!r} holds words, and numbers are needed; Factor makes them")
    return values.astype(np.float64)


def each(work: Callable[[pd.Series[Any], Mapping[str, Any]], pd.Series[Any]]) -> Verb:
    """Make an instruction of what is done to one variable after the other."""

    def verb(space: Namespace, step: Mapping[str, Any]) -> None:
        names = space.names(step["input"])
        for name, out in zip(names, _outputs(space, step, names), strict=True):
            try:
                values = work(_numbers(space, name), step)
            except DataError as error:
                raise space.fail(f"{name}: {error}") from error
            space.variables[out] = replace(space.variables[name], values=values, made=True)

    return verb


def joined(work: Callable[[pd.DataFrame, Mapping[str, Any]], pd.Series[Any]]) -> Verb:
    """Make an instruction of what makes one variable of several."""

    def verb(space: Namespace, step: Mapping[str, Any]) -> None:
        names = space.names(step["input"])
        first = space.variables[names[0]]
        _same_clock(space, names)
        if any(space.variables[n].onset is not None for n in names):
            raise space.fail("variables with onsets of their own cannot be joined")
        frame = pd.DataFrame({name: _numbers(space, name) for name in names})
        (out,) = listed(step["output"])[:1]
        space.variables[str(out)] = replace(first, values=work(frame, step), made=True)

    return verb


def _same_clock(space: Namespace, names: Iterable[str]) -> None:
    clocks = {space.variables[name].clock: name for name in names}
    if len(clocks) > 1:
        one, other = list(clocks.items())[:2]
        raise space.fail(f"{one[1]!r} lives on {one[0]} and {other[1]!r} on {other[0]}")


def _scale(x: pd.Series[Any], step: Mapping[str, Any]) -> pd.Series[Any]:
    filled = step.get("replacena")
    if x.dropna().nunique() <= 1 and filled != "after":
        raise DataError("every value is the same, so it cannot be scaled")
    x = x.fillna(0.0) if filled == "before" else x
    x = x - x.mean() if step.get("demean", True) else x
    x = x / x.std() if step.get("rescale", True) else x
    return x.fillna(0.0) if filled == "after" else x


def _threshold(x: pd.Series[Any], step: Mapping[str, Any]) -> pd.Series[Any]:
    cut = float(step.get("threshold", 0.0))
    if not step.get("signed", True):
        cut, x = abs(cut), x.abs()
    keep = x >= cut if step.get("above", True) else x <= cut
    return x.where(keep, 0.0).mask(keep, 1.0) if step.get("binarize", False) else x.where(keep, 0.0)


def _lag(space: Namespace, step: Mapping[str, Any]) -> None:
    mode = str(step.get("mode", "nearest"))
    if mode not in EXTENSIONS:
        raise space.fail(f"Mode {mode!r}; {did_you_mean(mode, EXTENSIONS)}")
    for name in space.names(step["input"]):
        if space.variables[name].clock != "scans":
            raise space.fail(f"{name!r} lives on events, which have no next scan; use hrf(…, lag=)")

    def shifted(x: pd.Series[Any], step: Mapping[str, Any]) -> pd.Series[Any]:
        if x.isna().any():
            raise DataError("has missing values")
        by, order = float(step.get("shift", 1)), int(step.get("order", 3))
        moved = scipy.ndimage.shift(
            x.to_numpy(), by, order=order, mode=mode, cval=float(step.get("constant", 0.0))
        )
        found = pd.Series(moved, x.index)
        if not step.get("difference", False):
            return found
        return x - found if by >= 0 else found - x

    each(shifted)(space, step)


def _sum(frame: pd.DataFrame, step: Mapping[str, Any]) -> pd.Series[Any]:
    weights = listed(step.get("weights", [1.0] * frame.shape[1]))
    if len(weights) != frame.shape[1]:
        raise DataError(f"Sum has {len(weights)} weights for {frame.shape[1]} variables")
    return sum(  # type: ignore[no-any-return]
        (frame[name] * float(weight) for name, weight in zip(frame, weights, strict=True)),
        start=pd.Series(0.0, frame.index),
    )


def _orthogonalize(space: Namespace, step: Mapping[str, Any]) -> None:
    others = space.names(step["other"])
    names = space.names(step["input"])
    _same_clock(space, [*names, *others])
    if space.variables[names[0]].clock == "events":
        raise space.fail("variables of events are orthogonal only after convolution, not before it")
    X = np.column_stack([_numbers(space, name) for name in others])

    def residual(y: pd.Series[Any], _: Mapping[str, Any]) -> pd.Series[Any]:
        if y.isna().any() or np.isnan(X).any():
            raise DataError("missing values cannot be made orthogonal")
        slopes = np.linalg.lstsq(np.column_stack([np.ones(len(y)), X]), y, rcond=None)[0]
        return y - X @ slopes[1:]

    each(residual)(space, step)


def _factor(space: Namespace, step: Mapping[str, Any]) -> None:
    between, kind = str(step.get("sep", ".")), str(step.get("constraint", "none"))
    for name in space.names(step["input"]):
        variable = space.variables.pop(name)
        words = variable.values.map(level, na_action="ignore")
        levels = sorted(words.dropna().unique())
        codes = pd.DataFrame({w: (words == w).astype(np.float64) for w in levels})
        if kind in ("drop_one", "mean_zero") and len(levels) > 1:
            base = str(step.get("reflevel", levels[0]))
            if base not in levels:
                raise space.fail(f"no level {base!r} of {name}; {did_you_mean(base, levels)}")
            if kind == "mean_zero":
                codes[words == base] = -1.0 / (len(levels) - 1)
            levels.remove(base)
        for word in levels:
            found = replace(variable, values=codes[word], made=True)
            space.variables[f"{name}{between}{word}"] = found


def level(value: Any) -> str:
    """Write a level as it is named: whole numbers without a point.

    Examples
    --------
    >>> level(1.0), level("face")
    ('1', 'face')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _split(space: Namespace, step: Mapping[str, Any]) -> None:
    by = space.names(step["by"])
    for name in space.names(step["input"]):
        variable = space.variables.pop(name)
        _same_clock(space, by)
        words = pd.DataFrame({b: space.variables[b].values.map(level) for b in by})
        if space.variables[by[0]].clock != variable.clock:
            raise space.fail(f"{name!r} and {by[0]!r} live in different tables")
        for cell in sorted(set(words.itertuples(index=False, name=None))):
            inside = (words == list(cell)).all(axis=1)
            tail = ".".join(f"{b}[{word}]" for b, word in zip(by, cell, strict=True))
            values = variable.values.where(inside, 0.0)
            space.variables[f"{name}.{tail}"] = replace(variable, values=values, made=True)


def _replace(space: Namespace, step: Mapping[str, Any]) -> None:
    part = str(step.get("attribute", "value"))
    pairs = {_parsed(key): value for key, value in dict(step["replace"]).items()}
    names = space.names(step["input"])
    for name, out in zip(names, _outputs(space, step, names), strict=True):
        old = space.variables[name]
        if part in ("value", "amplitude"):
            texts = {str(key): value for key, value in pairs.items()}
            found = old.values.map(lambda v, t=texts: t.get(level(v), v)).infer_objects()
            space.variables[out] = replace(old, values=found, made=True)
        elif part in TIMING and getattr(old, part) is not None:
            found = getattr(old, part).replace(pairs)
            space.variables[out] = replace(old, made=True, **{part: found})
        else:
            raise space.fail(f"Attribute {part!r}: give {name!r} a {part} of its own by Assign")


def _parsed(key: str) -> Any:
    try:
        return float(key)
    except ValueError:
        return key


def _assign(space: Namespace, step: Mapping[str, Any]) -> None:
    names, targets = space.names(step["input"]), space.names(step["target"])
    parts = {word: str(step.get(word, "amplitude")) for word in ("inputattr", "targetattr")}
    outs = _outputs(space, {**step, "output": step.get("output", targets)}, names)
    for name, target, out in zip(names, targets, outs, strict=True):
        source, old = space.variables[name], space.variables[target]
        if {source.clock, old.clock} != {"events"}:
            raise space.fail("only variables of events have onsets, durations and amplitudes")
        if parts["inputattr"] != "amplitude":
            raise space.fail("values are taken from amplitudes: InputAttr = 'amplitude'")
        where = parts["targetattr"]
        if where not in ("amplitude", *TIMING):
            raise space.fail(f"TargetAttr {where!r}; amplitude, onset or duration")
        change = {"values" if where == "amplitude" else where: _numbers(space, name)}
        space.variables[out] = replace(old, made=True, **change)  # type: ignore[arg-type]


def _keep(space: Namespace, step: Mapping[str, Any]) -> None:
    space.variables = {name: space.variables[name] for name in space.names(step["input"])}


def _delete(space: Namespace, step: Mapping[str, Any]) -> None:
    for name in space.names(step["input"]):
        del space.variables[name]


def _copy(space: Namespace, step: Mapping[str, Any]) -> None:
    names = space.names(step["input"])
    for name, out in zip(names, _outputs(space, step, names), strict=True):
        space.variables[out] = replace(space.variables[name], made=True)


def _rename(space: Namespace, step: Mapping[str, Any]) -> None:
    names = space.names(step["input"])
    _copy(space, step)
    for name in names:
        del space.variables[name]


def _group(space: Namespace, step: Mapping[str, Any]) -> None:
    name = str(listed(step["output"])[0])
    if name in space.variables:
        raise space.fail(f"{name!r} is a variable already")
    space.groups[name] = space.names(step["input"])


def _leave(space: Namespace, step: Mapping[str, Any]) -> None:
    space.names(step["input"])  # an event without a value is no event of the variable already


Verb = Callable[[Namespace, Mapping[str, Any]], None]

VERBS: dict[str, Verb] = {
    "And": joined(lambda frame, _: (frame.fillna(0.0) != 0).all(axis=1).astype(np.float64)),
    "Assign": _assign,
    "Copy": _copy,
    "Delete": _delete,
    "Demean": each(lambda x, _: x - x.mean()),
    "DropNA": _leave,
    "Factor": _factor,
    "Group": _group,
    "Lag": _lag,
    "Not": each(lambda x, _: (x == 0).astype(np.float64)),
    "Or": joined(lambda frame, _: (frame.fillna(0.0) != 0).any(axis=1).astype(np.float64)),
    "Orthogonalize": _orthogonalize,
    "Power": each(lambda x, step: x ** float(step["value"])),
    "Product": joined(lambda frame, _: frame.prod(axis=1, skipna=False)),
    "Rename": _rename,
    "Replace": _replace,
    "Scale": each(_scale),
    "Select": _keep,
    "Split": _split,
    "Sum": joined(_sum),
    "Threshold": each(_threshold),
}
