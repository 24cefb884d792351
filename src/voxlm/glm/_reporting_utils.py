"""``nilearn.glm._reporting_utils``, as it is."""

from voxlm.glm.paths import open_path

open_path(__name__)
