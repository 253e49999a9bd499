"""Training of models; it needs torch, which the extra ``train`` brings.

Importing this package makes torchvision importable (see torchvision_shim.py): timm and Lightning both import it. It
also sets how torch's threads wait for each other, which must be set before torch is loaded.
"""

import os

from pneumoscope.core.errors import MissingExtraError

# A thread of libgomp that waits for another one spins for milliseconds. On a busy machine it then occupies the core
# that the other thread needs. With a load of 4 to 5 on 2 cores, `cnn-150` trained at 23 images/s this way and at 58
# with short spins. 1,000 is libgomp's own choice where threads outnumber cores. The user's own setting wins.
if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
    os.environ["GOMP_SPINCOUNT"] = "1000"

try:
    from pneumoscope.training.torchvision_shim import ensure_torchvision
except ModuleNotFoundError as error:
    raise MissingExtraError("training and export", "train") from error

ensure_torchvision()
