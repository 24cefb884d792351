from . import arvariance as arvariance
from . import autoregress as autoregress
from . import robust as robust
from . import smooth as smooth
from . import varying as varying
