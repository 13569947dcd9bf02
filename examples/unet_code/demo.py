"""Ports unet.py beside this file, proves each unit with other arguments too, and says so: make demo."""

import sys
from pathlib import Path

import torchport
from torchport.report import code

HERE = Path(__file__).parent
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo/unet_code")
port = torchport.port_source(HERE / "unet.py")
print(code.text(port, port.save(folder)))
