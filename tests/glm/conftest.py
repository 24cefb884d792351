import warnings

import pytest


@pytest.fixture(autouse=True)
def quiet():
    """Both packages warn about small things here; what must be said is asked for by name."""
    with warnings.catch_warnings():
        for kind in (UserWarning, FutureWarning, DeprecationWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        yield
