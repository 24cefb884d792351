"""``nilearn.glm._base``, as it is."""

from voxlm.glm.paths import open_path

open_path(__name__)
