"""Where models are made (needs torch: the extra ``lab``).

Importing this package makes torchvision importable (see shim.py): timm and Lightning both import it. It also sets how
torch's threads wait for each other, which can only be said before torch is loaded.
"""

import os

from pneumoscope.core.errors import MissingExtraError

# A thread of libgomp that waits for another spins for milliseconds, on a core that something else could use: where the
# machine is busy, the very thread it waits for. With a load of 4 to 5 on 2 cores, `cnn-150` trained at 23 images/s so,
# at 58 with short spins. 1,000 is libgomp's own choice where threads outnumber cores. The user's word wins.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
    os.environ["GOMP_SPINCOUNT"] = "1000"

try:
    from pneumoscope.training.torchvision_shim import ensure_torchvision
except ModuleNotFoundError as error:
    raise MissingExtraError("training and export", "lab") from error

ensure_torchvision()
