from .arrays import Series as Series
from .arrays import series as series
from .dataset import Study as Study
from .dataset import Truth as Truth
from .dataset import study as study
from .score import Score as Score
from .score import score as score
