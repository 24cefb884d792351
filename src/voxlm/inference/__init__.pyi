from .clusters import Clusters as Clusters
from .clusters import find_clusters as find_clusters
from .decision import METHODS as METHODS
from .decision import Decision as Decision
from .decision import correct as correct
