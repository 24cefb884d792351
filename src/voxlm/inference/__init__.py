"""From a map of statistics to a decision; knows no images."""

from voxlm.inference.clusters import Clusters as Clusters
from voxlm.inference.clusters import find_clusters as find_clusters
from voxlm.inference.decision import METHODS as METHODS
from voxlm.inference.decision import Decision as Decision
from voxlm.inference.decision import correct as correct
