"""Where models are made (needs torch: the extra ``lab``).

Importing this package makes torchvision importable (see shim.py): timm and Lightning both import it.
"""

from pneumoscope.errors import MissingExtraError

try:
    from pneumoscope.lab.shim import ensure_torchvision
except ModuleNotFoundError as error:
    raise MissingExtraError("training and export", "lab") from error

ensure_torchvision()
