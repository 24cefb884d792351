from .brain_plots import plot_mosaic as plot_mosaic
from .brain_plots import plot_stat_map as plot_stat_map
from .canvas import save_picture as save_picture
from .design_plots import plot_correlation as plot_correlation
from .design_plots import plot_design as plot_design
from .presence import can_draw as can_draw
from .template_plots import plot_on_template as plot_on_template
from .truth_plots import plot_truth as plot_truth
