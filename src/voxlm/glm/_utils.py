"""``nilearn.glm._utils``, as it is."""

from voxlm.glm.paths import open_path

open_path(__name__)
